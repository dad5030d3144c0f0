import { describe, expect, it } from 'vitest';
import { batchesOf, epochOrder, trainingBatches } from '../src/data/datasets/batches.ts';

const part = Int32Array.from({ length: 70 }, (_, i) => 1000 + i);
const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

describe('epochOrder', () => {
  it('shuffles differently each epoch and the same way again', () => {
    const first = epochOrder(part, 1, 0);
    expect(sorted(first)).toEqual([...part]);
    expect(epochOrder(part, 1, 0)).toEqual(first);
    expect(epochOrder(part, 1, 1)).not.toEqual(first);
    expect(epochOrder(part, 2, 0)).not.toEqual(first);
  });
});

describe('batches', () => {
  it('hold everything in order, the last one short', () => {
    const batches = batchesOf(part, 32);
    expect(batches.map((batch) => batch.length)).toEqual([32, 32, 6]);
    expect(batches.flatMap((batch) => [...batch])).toEqual([...part]);
    expect(batchesOf(new Int32Array(0), 32)).toEqual([]);
  });

  it('drop an incomplete last batch in training unless it is the only one', () => {
    expect(trainingBatches(part, 32, 1, 0).map((batch) => batch.length)).toEqual([32, 32]);
    expect(trainingBatches(part, 35, 1, 0).map((batch) => batch.length)).toEqual([35, 35]);
    expect(trainingBatches(part, 100, 1, 0).map((batch) => batch.length)).toEqual([70]);
    expect(trainingBatches(part, 32, 1, 3).flatMap((b) => [...b])).toEqual([
      ...epochOrder(part, 1, 3).subarray(0, 64),
    ]);
  });
});
