import { shortened, UserError } from '../common/errors.ts';
import type { CaptureQuery } from './capture-query.ts';
import type { ReadCall } from './read-values.ts';

/** A tensor on the host, as safetensors takes it. */
export interface Captured {
  readonly dtype: 'F32';
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Everything that a step can be asked for, by name: what its parts made, and the gradients of that. */
export interface Capturable {
  readonly values: ReadonlyMap<string, Captured>;
  readonly gradients: ReadonlyMap<string, Captured>;
}

/**
 * Names what was read: the part of the model, and behind it the op where a part ran several (`text.blocks.2.gatherRows`), numbered
 * from the second of its kind on.
 *
 * @param parameters what learns, with its gradient
 */
export function capturable(
  calls: readonly ReadCall[],
  parameters: ReadonlyMap<string, { readonly value: Captured; readonly gradient: Captured | null }>,
): Capturable {
  const forward = calls.filter(({ call }) => call.of === undefined);
  const count = new Map<string, number>();
  for (const { part } of forward) count.set(part, (count.get(part) ?? 0) + 1);
  const values = new Map<string, Captured>();
  const gradients = new Map<string, Captured>();
  const nameOf = new Map<number, string>();
  for (const { call, part, output, made } of forward) {
    const base = [part, part === '' || count.get(part)! > 1 ? call.name : ''].filter(Boolean).join('.');
    let name = base;
    for (let number = 2; values.has(name); number++) name = `${base}.${number}`;
    if (output) values.set(name, { dtype: 'F32', ...output });
    if (made !== null) nameOf.set(made, name);
  }
  for (const { call, dy } of calls) {
    const name = call.of === undefined ? undefined : nameOf.get(call.of);
    if (name !== undefined && dy)
      gradients.set(name, { dtype: 'F32', shape: dy.shape, data: Float32Array.from(dy.data) });
  }
  for (const [name, { value, gradient }] of parameters) {
    values.set(name, value);
    if (gradient) gradients.set(name, gradient);
  }
  return { values, gradients };
}

/**
 * What the queries ask for; gradients have `:grad` behind their names.
 *
 * @throws UserError for a query that finds nothing
 */
export function capture(queries: readonly CaptureQuery[], step: Capturable): Map<string, Captured> {
  const found = new Map<string, Captured>();
  for (const { text, gradient, matches } of queries) {
    const from = gradient ? step.gradients : step.values;
    const names = [...from.keys()].filter(matches);
    if (names.length === 0) {
      const without = gradient && [...step.values.keys()].some(matches);
      throw new UserError(
        `--capture "${text}": ${without ? 'nothing of that depends on a parameter, so it has no gradient' : 'this step has no such name'}`,
        `There are: ${shortened([...from.keys()].join(', '), 1500)}.`,
      );
    }
    for (const name of names) found.set(gradient ? `${name}:grad` : name, from.get(name)!);
  }
  return found;
}
