import { UserError } from '../../common/errors.ts';
import type { TensorFile } from '../../data/formats/tensor-file.ts';
import { generateTensor, readWeightsSpec } from './weights-spec.ts';

/** A specification (see {@link readWeightsSpec}) as a tensor file: values are made when they are read, nothing lies on disk. */
export async function openSpecFile(path: string): Promise<TensorFile> {
  const spec = await readWeightsSpec(path);
  const read = async (name: string): Promise<Float32Array> => {
    if (!spec.tensors.has(name)) throw new UserError(`${path}: no tensor ${name}`);
    return generateTensor(spec, name);
  };
  return {
    path,
    format: 'specification',
    metadata: {},
    tensors: new Map([...spec.tensors].map(([name, { shape }]) => [name, { name, dtype: 'F32', shape }])),
    read,
    readRaw: async (name) => new Uint8Array((await read(name)).buffer),
    close: () => Promise.resolve(),
  };
}
