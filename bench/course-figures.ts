import { dirname, join } from 'node:path';
import { packageFile } from '../src/common/package.ts';
import { figuresOf, groupsOf, keys } from '../src/step/figures.ts';
import type { Ghost, StepData } from '../src/step/step-data.ts';
import { amountText, percentText, timeText } from '../src/step/units.ts';
import { markdownTable } from './section.ts';

/** Dispatches of a step that belong together. */
interface Part {
  readonly key: string;
  readonly calls: number;
  readonly ns: number;
  readonly operations: number;
}

/** What the last chapter of the course says of a recorded step. */
export interface StepSummary {
  readonly title: string;
  readonly adapter: string;
  readonly batch: number;
  readonly ns: number;
  readonly dispatches: number;
  readonly ops: number;
  readonly peakBytes: number;
  readonly phases: readonly Part[];
  readonly kernels: readonly Part[];
  readonly spared: readonly Pick<Ghost, 'what' | 'why' | 'operations' | 'dispatches'>[];
}

/** Where the figures of the course are kept. */
export const courseStep = join(
  dirname(packageFile('package.json')),
  'bench',
  'results',
  'course',
  'step.json',
);

const mostKernels = 6;

/** Of a recording that `node dist/step.js --json` wrote. */
export function summarizeStep(data: StepData): StepSummary {
  const figures = figuresOf(data);
  const parts = (by: keyof typeof keys): Part[] =>
    groupsOf(data, figures, keys[by]).map(({ key, calls, ns, operations }) => ({
      key,
      calls,
      ns,
      operations,
    }));
  return {
    title: data.title,
    adapter: data.adapter.name.replace(/-$/, ''),
    batch: data.batch,
    ns: figures.total,
    dispatches: data.dispatches.length,
    ops: data.ops.length,
    peakBytes: figures.peak.bytes,
    phases: parts('phase'),
    kernels: parts('kernel').slice(0, mostKernels),
    spared: data.ghosts.map(({ what, why, operations, dispatches }) => ({
      what,
      why,
      operations,
      dispatches,
    })),
  };
}

/** As Markdown, for between the marks of the chapter. */
export function stepFigures(summary: StepSummary): string {
  const { title, adapter, batch, ns, dispatches, ops, peakBytes, phases, kernels, spared } = summary;
  const rows = (parts: readonly Part[]) =>
    parts.map(({ key, calls, ns: own, operations }) => [
      key,
      calls,
      percentText(own / ns),
      amountText(operations, 'FLOP'),
    ]);
  return [
    `${title}, batch ${batch}, ${adapter}: ${ops} ops and gradients in ${dispatches} dispatches, ${timeText(ns)} in all, at most ${amountText(peakBytes, 'B')} alive.`,
    '',
    markdownTable(['phase', 'dispatches', 'time', 'operations'], rows(phases)),
    '',
    markdownTable(['kernel', 'dispatches', 'time', 'operations'], rows(kernels)),
    '',
    markdownTable(
      ['not there', 'because', 'operations', 'dispatches'],
      spared.map(({ what, why, operations, dispatches: spares }) => [
        what,
        why,
        amountText(operations, 'FLOP'),
        spares ?? '—',
      ]),
    ),
  ].join('\n');
}

/** A chapter with its figures between the marks. */
export function withFigures(chapter: string, figures: string): string {
  const filled = chapter.replace(
    /(<!-- figures -->\n)[\s\S]*?(<!-- end -->)/,
    (_, begin, end) => `${begin}${figures}\n${end}`,
  );
  if (filled === chapter && !chapter.includes(figures))
    throw new Error('the chapter has no marks for figures');
  return filled;
}
