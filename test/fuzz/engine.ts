import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Target } from './target.ts';
import { bars, type Outcome, type Workplace } from './workplace.ts';

/** A case that a check has found, as it is kept in the corpus. */
export interface Found {
  readonly target: string;
  readonly outcome: Outcome['outcome'];
  readonly message: string;
  readonly plan: unknown;
}

/** What came of a target's cases. */
export interface Tally {
  readonly target: string;
  cases: number;
  readonly outcomes: Record<Outcome['outcome'], number>;
  slowestMs: number;
  peak: number;
  readonly found: Found[];
}

const isFine = ({ outcome, peak }: Outcome): boolean =>
  (outcome === 'accepted' || outcome === 'refused') && peak <= bars.mebibytes;

/** Runs one plan in a folder of its own. */
export async function runPlan(
  target: Target,
  plan: unknown,
  workplace: Workplace,
  scratch: string,
): Promise<Outcome> {
  const folder = mkdtempSync(join(scratch, 'case-'));
  try {
    const path = await target.write(plan, folder);
    return await workplace.run({ reader: target.reader, path, folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Findings of a target after which it is given up, and how many cases make each smaller. */
const mostFound = 5;
const mostShrinks = 150;

/** Runs so many cases of a target; what is found is made smaller, and the others go on. */
export async function fuzzTarget(
  target: Target,
  { cases, seed, workplace, scratch }: { cases: number; seed: number; workplace: Workplace; scratch: string },
): Promise<Tally> {
  const tally: Tally = {
    target: target.name,
    cases: 0,
    outcomes: { accepted: 0, refused: 0, stack: 0, nonsense: 0, wrote: 0, hang: 0, memory: 0, died: 0 },
    slowestMs: 0,
    peak: 0,
    found: [],
  };
  for (let round = 0; tally.cases < cases && tally.found.length < mostFound; round++) {
    let smallest: Found | undefined;
    let shrinks = 0;
    const holds = async (plan: unknown) => {
      if (smallest && ++shrinks > mostShrinks) return true;
      const outcome = await runPlan(target, plan, workplace, scratch);
      if (!smallest) count(tally, outcome);
      // Made smaller, a case has to fail in the same way.
      if (isFine(outcome) || (smallest && smallest.outcome !== outcome.outcome)) return true;
      smallest = { target: target.name, outcome: outcome.outcome, message: outcome.message, plan };
      // Each step of these takes as long as the limit.
      return outcome.outcome === 'hang' || outcome.outcome === 'memory' ? 'slow' : false;
    };
    const property = fc.asyncProperty(target.plan, async (plan) => {
      const held = await holds(plan);
      if (held === 'slow') shrinks = mostShrinks;
      return held === true;
    });
    await fc.check(property, { seed: seed + round, numRuns: cases - tally.cases });
    if (smallest) tally.found.push(smallest);
  }
  return tally;
}

function count(tally: Tally, { outcome, ms, peak }: Outcome): void {
  tally.cases++;
  tally.outcomes[outcome]++;
  tally.slowestMs = Math.max(tally.slowestMs, ms);
  tally.peak = Math.max(tally.peak, peak);
}

/** The targets' cases as a table, with their sum. */
export function tallyTable(tallies: readonly Tally[]): string {
  const columns = [
    'cases',
    'refused',
    'accepted',
    'stack',
    'nonsense',
    'wrote',
    'hang',
    'memory',
    'died',
  ] as const;
  const value = (tally: Tally, column: (typeof columns)[number]) =>
    column === 'cases' ? tally.cases : tally.outcomes[column];
  const row = (name: string, cells: readonly string[]) =>
    `${name.padEnd(22)}${cells.map((cell) => cell.padStart(10)).join('')}`;
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0);
  const most = (of: (tally: Tally) => number) => Math.max(0, ...tallies.map(of));
  const extremes = (ms: number, peak: number) => [(ms / 1000).toFixed(2), peak.toFixed(0)];
  return [
    row('target', [...columns, 'slowest s', 'peak MiB']),
    ...tallies.map((tally) =>
      row(tally.target, [
        ...columns.map((column) => String(value(tally, column))),
        ...extremes(tally.slowestMs, tally.peak),
      ]),
    ),
    row('all', [
      ...columns.map((column) => String(sum((tally) => value(tally, column)))),
      ...extremes(
        most(({ slowestMs }) => slowestMs),
        most(({ peak }) => peak),
      ),
    ]),
  ].join('\n');
}
