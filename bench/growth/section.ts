import type { Roofline } from '../roofline.ts';
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
  render: ({ tables, rooflines }) => [...tables.map(renderTable), renderRooflines(rooflines)].join('\n\n'),
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

function renderRooflines(list: readonly Roofline[]): string {
  return [
    '**Calculated, not measured: what a data-center GPU would reach.** From published peaks of float32 outside the tensor cores and',
    'of memory, and 3 µs of host time for each of 275 dispatches. A step takes the longest of its three times.',
    '',
    markdownTable(
      [
        'device',
        'images per second at peak',
        'at half the peak',
        'step: operations',
        'step: weights read',
        'step: host',
      ],
      list.map(({ device, imagesPerSecond, imagesPerSecondAtHalf, stepMilliseconds }) => [
        device,
        digits(imagesPerSecond),
        digits(imagesPerSecondAtHalf),
        `${digits(stepMilliseconds.arithmetic)} ms`,
        `${digits(stepMilliseconds.memory)} ms`,
        `${digits(stepMilliseconds.host)} ms`,
      ]),
    ),
  ].join('\n');
}
