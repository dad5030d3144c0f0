import { rooflines } from '../roofline.ts';
import { digits, markdownTable, megabytes, type Section } from '../section.ts';
import { type Growth, type GrowthResults, type Line, measureGrowth } from './measure.ts';

export const growthSection: Section<GrowthResults> = {
  name: 'growth',
  summary: 'time and memory by images, prompts, context length and batch, with the expected law',
  measure: measureGrowth,
  bars: ({ tables }) =>
    tables.map(({ work, variable, memory }) => ({
      what: `${work}, by ${variable}: deviation of memory from its law`,
      value: memory.worst,
      atMost: 0.1,
    })),
  render: ({ tables }) => [...tables.map(renderTable), calculated()].join('\n\n'),
};

function renderTable({ work, variable, timeLaw, memoryLaw, points, time, memory }: Growth): string {
  const off = ({ worst }: Line) => `${digits(100 * worst)}%`;
  return [
    `**${work[0]!.toUpperCase()}${work.slice(1)}, by ${variable}.** Expected time: ${timeLaw}; the fitted line is ${digits(time.constant)} s +`,
    `${digits(1000 * time.perUnit)} ms each, at worst ${off(time)} off. Expected memory besides the weights: ${memoryLaw}; the fitted line`,
    `is ${megabytes(memory.constant)} + ${megabytes(memory.perUnit)} each, at worst ${off(memory)} off.`,
    '',
    markdownTable(
      [variable, 'seconds', 'fit', 'memory', 'fit'],
      points.map(({ at, seconds, bytes }) => [
        at,
        digits(seconds),
        digits(time.constant + time.perUnit * at),
        megabytes(bytes),
        megabytes(memory.constant + memory.perUnit * at),
      ]),
    ),
  ].join('\n');
}

function calculated(): string {
  const ms = (value: number) => `${digits(value)} ms`;
  return [
    '**Calculated, not measured: what GPUs would reach at most.** Published peaks of float32 outside of matrix units, times the share of',
    "multiply-adds in the inner loops as RADV's compiler makes them ([figures](gpu-compilers.md); for NVIDIA the least of all AMD families stands",
    'in), and of memory. In a step each small kernel waits for the one before: 3 µs from launch to launch, and 0.8 µs for every load that waits for',
    'another in a product. It takes the longer of the host and all of these.',
    '',
    markdownTable(
      [
        'device',
        'multiply-adds',
        'images per second',
        'step: operations',
        'weights read',
        'launches',
        'loads',
        'host',
        'whole',
      ],
      rooflines().map(({ device, share, imagesPerSecond, stepMilliseconds: step }) => [
        device,
        `${Math.round(100 * share)}%`,
        digits(imagesPerSecond),
        ms(step.operations),
        ms(step.weights),
        ms(step.launches),
        ms(step.loads),
        ms(step.host),
        ms(step.whole),
      ]),
    ),
  ].join('\n');
}
