import type { Statistics } from './statistics.ts';

/**
 * What a GPU's compiler may take for a kernel, written in its shader:
 *
 *     //@budget registers 96, shared 16, waves 8 on navi31, multiply-adds 80, waits 1
 *
 * `registers` of a lane and KiB of `shared` memory of a workgroup at most, and at least so many `waves` a SIMD on the family named.
 * `multiply-adds` is their least percentage among the vector instructions of the loop that has the most of them, and `waits` how
 * often, at most, it waits for what it asked of memory. Of several lines the last one counts, so that an included file, which stands
 * below the header, can say what it takes itself. A budget holds on every family. Scratch memory and spilled registers are never
 * within it.
 */
export interface Budget {
  readonly registers: number;
  readonly shared: number;
  readonly waves: Readonly<Record<string, number>>;
  readonly multiplyAdds?: number;
  readonly waits?: number;
}

/** The budget in a kernel's specialized WGSL; throws where there is none, or what it says is not understood. */
export function budgetOf(code: string): Budget {
  const line = [...code.matchAll(/^\s*\/\/@budget (.*)$/gm)].at(-1)?.[1];
  if (line === undefined) throw new Error('the kernel has no //@budget');
  const numbers: Record<string, number> = {};
  const waves: Record<string, number> = {};
  for (const item of line.split(',')) {
    const [, name, value, family] =
      /^\s*(registers|shared|waves|multiply-adds|waits) (\d+)(?: on (\w+))?\s*$/.exec(item) ?? [];
    if (name === undefined || (name === 'waves') !== (family !== undefined))
      throw new Error(`//@budget${line.startsWith(' ') ? '' : ' '}${line}: what is "${item.trim()}"?`);
    if (family) waves[family] = Number(value);
    else numbers[name] = Number(value);
  }
  const { registers, shared, 'multiply-adds': multiplyAdds, waits } = numbers;
  if (registers === undefined || shared === undefined)
    throw new Error(`//@budget ${line}: it must say how many registers and how much shared memory`);
  return {
    registers,
    shared,
    waves,
    ...(multiplyAdds !== undefined && { multiplyAdds }),
    ...(waits !== undefined && { waits }),
  };
}

/** The share of multiply-adds in the busiest loop, in percent. */
export const multiplyAddShare = ({ loop }: Statistics): number | null =>
  loop && (100 * loop.multiplyAdds) / loop.vector;

/** What of a budget a compiler overdrew on a family, in words; empty where nothing. */
export function overdrawn(budget: Budget, family: string, statistics: Statistics): string[] {
  const { registers, shared, scratch, spilled, waves, loop, legible } = statistics;
  const found: string[] = [];
  if (scratch > 0) found.push(`${scratch} bytes of scratch memory`);
  if (spilled > 0) found.push(`${spilled} spilled registers`);
  if (registers > budget.registers) found.push(`${registers} registers of ${budget.registers}`);
  if (shared > budget.shared * 1024) found.push(`${shared} bytes of shared memory of ${budget.shared} KiB`);
  const least = budget.waves[family];
  if (least !== undefined && waves < least) found.push(`${waves} waves a SIMD, not ${least}`);
  if (!legible) return found;
  const share = multiplyAddShare(statistics);
  if (budget.multiplyAdds !== undefined && !(share !== null && share >= budget.multiplyAdds))
    found.push(
      `${share === null ? 'no loop of' : `${share.toFixed(1)} %`} multiply-adds, not ${budget.multiplyAdds} %`,
    );
  if (budget.waits !== undefined && loop && loop.waits > budget.waits)
    found.push(`${loop.waits} waits in the loop, not ${budget.waits}`);
  return found;
}
