import { expect, it } from 'vitest';
import { initialHead } from '../src/model/head.ts';

it('a new head is uniform within one over the root of its inputs, as nn.Linear is', () => {
  const [input, hidden] = [400, 100];
  const values = initialHead(input, hidden, 3);
  const inputsOf = { '1.weight': input, '1.bias': input, '4.weight': hidden, '4.bias': hidden } as const;
  for (const [name, inputs] of Object.entries(inputsOf)) {
    const { data } = values[name as keyof typeof inputsOf];
    const bound = 1 / Math.sqrt(inputs);
    const shares = Array.from(data, (value) => value / bound);
    expect(Math.max(...shares.map(Math.abs)), name).toBeLessThanOrEqual(1 + 1e-6);
    if (data.length === 1) continue;
    // Of n uniform draws the mean lies within 4 standard deviations of 0, and their variance of 1/3.
    const mean = shares.reduce((a, b) => a + b, 0) / data.length;
    const variance = shares.reduce((a, b) => a + b * b, 0) / data.length;
    expect(Math.abs(mean), name).toBeLessThan(4 / Math.sqrt(3 * data.length));
    expect(Math.abs(variance - 1 / 3), name).toBeLessThan((4 * Math.sqrt(4 / 45)) / Math.sqrt(data.length));
  }
  const biases = [1, 2, 3, 4, 5, 6].map((seed) => initialHead(input, 4, seed)['4.bias'].data[0]! * 2);
  expect(Math.max(...biases.map(Math.abs))).toBeLessThanOrEqual(1);
  expect(new Set(biases).size).toBe(6);
});
