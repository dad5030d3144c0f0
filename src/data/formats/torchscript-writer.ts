import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';
import { writeOutput } from '../../common/files.ts';
import { getOrThrow } from '../../common/get-or-throw.ts';
import { elementCount } from '../../common/shape.ts';
import type { TensorData } from './safetensors.ts';
import { type DType, dtypeBytes } from './tensor.ts';

const storageNames: Readonly<Record<DType, string>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
};

/** The same tensors give the same bytes: zip's earliest date stands for every entry. */
const date = new Date(1980, 0, 1);

/**
 * Writes tensors atomically as the data of a TorchScript archive, laid out as OpenAI's published `.pt` files: a tree of
 * modules in `data.pkl`, each tensor's bytes stored uncompressed. It holds no code, so that it serves to test readers
 * and to carry weights, not to be run. Data given as functions are held one at a time.
 */
export async function writeTorchScript(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
): Promise<void> {
  const zip = new ZipFile();
  const options = { compress: false, mtime: date, forceDosTimestamp: true };
  const output = zip.outputStream as Readable;
  zip.on('error', (error: Error) => output.destroy(error));

  const keys = new Map([...tensors.keys()].map((name, key) => [name, String(key)]));
  zip.addBuffer(Buffer.from(pickleModules(tensors, keys), 'latin1'), 'archive/data.pkl', options);
  zip.addBuffer(Buffer.from('\x80\x02).', 'latin1'), 'archive/constants.pkl', options);
  zip.addBuffer(Buffer.from('2\n'), 'archive/version', options);
  for (const [name, { dtype, shape, data }] of tensors) {
    const size = elementCount(shape) * dtypeBytes[dtype];
    zip.addReadStreamLazy(`archive/data/${keys.get(name)}`, { ...options, size }, (done) => {
      done(null, Readable.from(bytesOf(data), { objectMode: false }));
    });
  }
  zip.end();
  await writeOutput(path, output as AsyncIterable<Uint8Array>);
}

async function* bytesOf(data: TensorData['data']): AsyncGenerator<Buffer> {
  const view = typeof data === 'function' ? await data() : data;
  yield Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

type Tree = Map<string, Tree | string>;

/** A pickle of protocol 2 (opcodes as in CPython's `pickletools`), one code unit a byte. */
function pickleModules(tensors: ReadonlyMap<string, TensorData>, keys: ReadonlyMap<string, string>): string {
  const root: Tree = new Map();
  for (const name of tensors.keys()) {
    const parts = name.split('.');
    let node = root;
    for (const part of parts.slice(0, -1)) {
      const next = node.get(part);
      if (typeof next === 'string') throw new Error(`${name} lies inside another tensor`);
      const inner: Tree = next ?? new Map();
      node.set(part, inner);
      node = inner;
    }
    node.set(parts.at(-1)!, name);
  }
  return `\x80\x02${module(root)}.`;

  function module(tree: Tree): string {
    const items = [...tree].map(([key, value]) => {
      return text(key) + (typeof value === 'string' ? tensor(value) : module(value));
    });
    return `c__torch__\nModule\n)\x81}(${items.join('')}ub`;
  }

  function tensor(name: string): string {
    const { dtype, shape } = getOrThrow(tensors, name);
    const strides = shape.map((_, d) => elementCount(shape.slice(d + 1)));
    const storage = `(${text('storage')}ctorch\n${storageNames[dtype]}\n${text(getOrThrow(keys, name))}${text('cpu')}${integer(elementCount(shape))}tQ`;
    const tuple = (sizes: readonly number[]) => `(${sizes.map(integer).join('')}t`;
    return `ctorch._utils\n_rebuild_tensor_v2\n(${storage}${integer(0)}${tuple(shape)}${tuple(strides)}\x89ccollections\nOrderedDict\n)RtR`;
  }
}

function text(value: string): string {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return `X${length.toString('latin1')}${bytes.toString('latin1')}`;
}

function integer(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return value < 2 ** 31 ? `J${bytes.toString('latin1', 0, 4)}` : `\x8a\x08${bytes.toString('latin1')}`;
}
