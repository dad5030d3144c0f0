import { UserError } from '../../common/errors.ts';
import type { TensorFile } from './tensor.ts';

/** Numbers of a tensor that are NaN or infinite. */
export interface NonFinite {
  readonly count: number;
  /** Position of the first in row-major order. */
  readonly first: number;
}

/** The numbers that are not finite; null where all are, which takes half a nanosecond a number to find out. */
export function findNonFinite(values: Float32Array): NonFinite | null {
  // Sums of float32 numbers never overflow a double, so only what is not finite makes them so. Several sums, since each
  // addition waits for the one before.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const whole = values.length & ~7;
  for (let i = 0; i < whole; i += 8) {
    a += values[i]! + values[i + 4]!;
    b += values[i + 1]! + values[i + 5]!;
    c += values[i + 2]! + values[i + 6]!;
    d += values[i + 3]! + values[i + 7]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]!;
  if (Number.isFinite(a + b + c + d)) return null;
  let count = 0;
  for (const value of values) if (!Number.isFinite(value)) count++;
  return { count, first: values.findIndex((value) => !Number.isFinite(value)) };
}

/**
 * Refuses values that would make every result NaN.
 *
 * @param where file and tensor, for the message
 * @returns the values
 */
export function requireFinite(values: Float32Array, shape: readonly number[], where: string): Float32Array {
  const found = findNonFinite(values);
  if (!found) return values;
  const { count, first } = found;
  throw new UserError(
    `${where} holds ${values[first]} at [${coordinates(first, shape).join(', ')}]${count > 1 ? ` and ${count - 1} more non-finite values` : ''}`,
    'The file is damaged, or the training that produced it diverged; use another.',
  );
}

/** The tensors of a file that hold numbers that are not finite, integers left out. Reads every value. */
export async function nonFiniteTensors(file: TensorFile): Promise<Map<string, NonFinite>> {
  const found = new Map<string, NonFinite>();
  for (const { name, dtype } of file.tensors.values()) {
    if (!/F/.test(dtype)) continue;
    const numbers = findNonFinite(await file.read(name));
    if (numbers) found.set(name, numbers);
  }
  return found;
}

function coordinates(position: number, shape: readonly number[]): number[] {
  let rest = position;
  return shape
    .map((_, d) => {
      const size = shape[shape.length - 1 - d]!;
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    })
    .reverse();
}
