import type { LadderTable } from './ladder.ts';
import type { LadderNotes } from './ladder-notes.ts';
import type { Measured, ResultsFile } from './results.ts';
import { markdownTable } from './section.ts';

/** The versions of a kernel, what is new in each, how fast they are, and what did not help, for its page in docs/kernels/. */
export function ladderParts(
  { lab, steps, detours }: LadderNotes,
  files: readonly ResultsFile[],
  shapes: RegExp,
): string[] {
  const parts = ['## Versions', ''];
  for (const { version, says } of steps) parts.push(`- **${nameOf(version)}**: ${says}`);
  for (const { adapter, sections } of files) {
    const measured = sections[lab];
    if (!measured) continue;
    const tables = (measured.results as readonly LadderTable[]).filter(({ shape }) => shapes.test(shape));
    parts.push(
      '',
      `### ${adapter.name.replace(/-$/, '')}`,
      '',
      howMeasured(lab, measured, adapter.driver),
      '',
    );
    parts.push(figures(tables));
  }
  if (detours.length > 0) {
    parts.push('', '## What did not help', '');
    parts.push(
      markdownTable(
        ['tried', 'figure'],
        detours.map(({ tried, figure }) => [tried, figure]),
      ),
    );
  }
  return parts;
}

/** What a step's pattern stands for, as people say it. */
const nameOf = ({ source }: RegExp) => (source.endsWith('$') ? source.slice(1, -1) : `${source.slice(1)}…`);

const howMeasured = (lab: string, { measuredAt, node, cores }: Measured, driver: string) =>
  `\`node dist/bench/lab/${lab}.js\`, ${measuredAt.slice(0, 10)}, ${driver}, Node ${node.slice(1)}, ${cores} cores.`;

function figures(tables: readonly LadderTable[]): string {
  const rows = tables.flatMap((table) =>
    table.rows.map(({ version, direction, ms, speed, error }) => [
      table.shape,
      direction ? `${version}, ${direction}` : version,
      ms.toFixed(2),
      `${speed.toFixed(1)} ${table.unit}`,
      `${((100 * speed) / table.ceiling).toFixed(0)} % of ${table.ceiling.toFixed(0)}`,
      error.toExponential(0),
    ]),
  );
  return markdownTable(['shape', 'version', 'ms', 'speed', 'of the ceiling', 'error'], rows);
}
