import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { writeOutput } from '../common/files.ts';
import type { ComparableStep } from './compare-steps.ts';
import { stepPageHtml } from './page-html.ts';
import type { StepData } from './step-data.ts';

const built = (name: string) => readFileSync(new URL(`./${name}`, import.meta.url), 'utf8');

/**
 * Writes a recording as one page that needs nothing else.
 *
 * @param other an earlier recording that it is compared with
 */
export async function writeStepPage(
  path: string,
  data: StepData,
  other: ComparableStep | null = null,
): Promise<void> {
  await writeOutput(path, stepPage(data, other));
}

export function stepPage(data: StepData, other: ComparableStep | null = null): string {
  const packed = (value: ComparableStep) => gzipSync(JSON.stringify(value), { level: 9 }).toString('base64');
  return stepPageHtml({
    title: data.title,
    data: packed(data),
    other: other ? packed(other) : undefined,
    script: built('step-page.js'),
    style: built('step-page.css'),
  });
}
