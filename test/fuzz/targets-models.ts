import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { elementCount } from '../../src/common/shape.ts';
import { writeSafetensors } from '../../src/data/formats/safetensors-file.ts';
import { joinParts } from '../../src/training/checkpoint-format.ts';
import { cacheSegment, type ModelKind, modelKinds, modelParts } from './bases.ts';
import { type ByteEdit, byteEdits, editBytes, inside } from './byte-edits.ts';
import { editJson, type JsonEdit, jsonEdits } from './json-edits.ts';
import { type Target, target } from './target.ts';
import { file } from './targets-weights.ts';

interface TensorEdit {
  readonly tensor: number;
  readonly op: 'remove' | 'rename' | 'shape' | 'fill' | 'empty' | 'transpose';
  readonly shape: readonly number[];
  readonly value: number;
}

const tensorEdit: fc.Arbitrary<TensorEdit> = fc.record({
  tensor: fc.nat(20),
  op: fc.constantFrom('remove', 'rename', 'shape', 'shape', 'fill', 'empty', 'transpose'),
  shape: fc.array(fc.constantFrom(0, 1, 2, 3, 31, 32, 33, 64), { maxLength: 3 }),
  value: fc.oneof(
    fc.constantFrom(0, 1e38, -1e38, 1e-45, 3.4e38),
    fc.float({ noNaN: true, noDefaultInfinity: true }),
  ),
});

type Tensors = Map<string, { shape: number[]; data: Float32Array }>;

function editTensors(tensors: Tensors, edits: readonly TensorEdit[]): Tensors {
  const result: Tensors = new Map(tensors);
  for (const { tensor, op, shape, value } of edits) {
    const names = [...result.keys()];
    if (names.length === 0) break;
    const name = names[inside(tensor, names.length)]!;
    const old = result.get(name)!;
    if (op === 'remove') result.delete(name);
    else if (op === 'rename') {
      result.delete(name);
      result.set(names[inside(tensor + 1, names.length)]!, old);
    } else if (op === 'fill') result.set(name, { ...old, data: old.data.map(() => value) });
    else if (op === 'transpose') result.set(name, { ...old, shape: [...old.shape].reverse() });
    else {
      const sizes = op === 'empty' ? [0] : [...shape];
      const count = elementCount(sizes);
      result.set(name, { shape: sizes, data: Float32Array.from({ length: count }, (_, i) => i % 7) });
    }
  }
  return result;
}

/** A trained model whose tensors and settings no longer belong together; its checksums are right. */
const scoringModel = target<{ kind: ModelKind; tensors: TensorEdit[]; settings: JsonEdit[] }>({
  name: 'scoring model',
  reader: 'scoringModel',
  whole: { kind: 'standardized', tensors: [], settings: [] },
  plan: fc.record({
    kind: fc.constantFrom(...modelKinds),
    tensors: fc.array(tensorEdit, { maxLength: 3 }),
    settings: fc.oneof({ weight: 2, arbitrary: fc.constant<JsonEdit[]>([]) }, jsonEdits(2)),
  }),
  write: async ({ kind, tensors, settings }, folder) => {
    const { constants, parameters, ...model } = await modelParts(kind);
    const path = join(folder, 'model.safetensors');
    const metadata = {
      format: 'clip-agiqa-webgpu checkpoint 2',
      settings: editJson(model.settings, settings),
      state: JSON.stringify(model.state),
      weights_id: model.weightsId,
      words: JSON.stringify(model.words),
    };
    const parts = joinParts({ parameters, constants: editTensors(constants, tensors) });
    await writeSafetensors(path, parts, metadata, { checksums: true });
    return path;
  },
});

/** A segment of the feature cache, changed anywhere. */
const featureCache = target<{ edits: ByteEdit[] }>({
  name: 'feature cache',
  reader: 'cache',
  whole: { edits: [] },
  plan: fc.record({ edits: byteEdits() }),
  write: async ({ edits }, folder) => {
    const home = join(folder, 'cache');
    mkdirSync(home);
    const { name, bytes } = await cacheSegment();
    file(home, name, editBytes(bytes, edits));
    return home;
  },
});

/** What this program keeps for itself. */
export const modelTargets: readonly Target[] = [scoringModel, featureCache];
