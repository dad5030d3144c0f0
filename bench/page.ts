import type { Measured, ResultsFile } from './results.ts';
import { type Bar, digits, holds, markdownTable, type Section, verdict } from './section.ts';

/** docs/performance.md, from the results of all adapters. */
export function performancePage(files: readonly ResultsFile[], sections: readonly Section[]): string {
  const parts = [
    '# Performance',
    '',
    'Made by `node dist/bench.js page` from `bench/results/`; do not edit. Each section is one run, and figures are compared',
    'within a section only. Times are the least of several runs that took turns.',
  ];
  for (const { adapter, sections: measured } of files) {
    parts.push(
      '',
      `## ${adapter.name}`,
      '',
      `${adapter.driver || adapter.vendor}${adapter.software ? '; a software adapter: the processor computes' : ''}.`,
    );
    for (const section of sections) {
      const run = measured[section.name];
      if (!run) continue;
      parts.push('', `### ${title(section.name)}`, '', howMeasured(section.name, run), '');
      parts.push(section.render(run.results));
      const bars = section.bars(run.results);
      if (bars.length > 0) parts.push('', barTable(bars));
    }
  }
  return `${parts.join('\n')}\n`;
}

const title = (name: string) => name[0]!.toUpperCase() + name.slice(1);

function howMeasured(name: string, { measuredAt, seconds, node, cores, load }: Measured): string {
  const others = `load average ${load.map((value) => value.toFixed(1)).join(' before, ')} after`;
  return `\`node dist/bench.js ${name}\`, ${measuredAt.slice(0, 10)}, ${Math.round(seconds)} s, Node ${node.slice(1)}, ${cores} cores, ${others}.`;
}

function barTable(bars: readonly Bar[]): string {
  return markdownTable(
    ['must hold', 'measured', 'bar', ''],
    bars.map((bar) => [
      bar.what,
      digits(bar.value),
      bar.atLeast === undefined ? `≤ ${digits(bar.atMost!)}` : `≥ ${digits(bar.atLeast)}`,
      holds(bar) ? verdict(bar) : `**${verdict(bar)}**`,
    ]),
  );
}
