import type { Gpu } from '../kernels/device/gpu.ts';
import { Classifier } from '../scoring/classifier.ts';
import type { Column } from './table.ts';
import type { Task } from './task.ts';

/** Columns of a model that tells classes apart, as `score --csv` has them. */
export const classColumns: readonly Column[] = [
  { name: 'class', type: 'string' },
  { name: 'probability', type: 'double' },
];

/** Opens such a model as a task: each image gets its most probable class. */
export async function openClasses(
  gpu: Gpu,
  model: string,
  options: { readonly weights?: string | undefined; readonly batch: number },
): Promise<Task> {
  const classifier = await Classifier.load(gpu, model, options);
  return {
    columns: classColumns,
    async *compute(images) {
      const inputs = images.map(({ file, name, bytes }) => (bytes ? { name, image: bytes } : file));
      for await (const result of classifier.classify(inputs)) {
        const { index } = images[result.index]!;
        if ('error' in result) yield { index, error: result.error };
        else yield { index, cells: [result.class, result.probability] };
      }
    },
    times: () => classifier.times,
    close: () => classifier.close(),
  };
}
