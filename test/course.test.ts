import { readdirSync, readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { courseStep, type StepSummary, stepFigures, withFigures } from '../bench/course-figures.ts';
import * as library from '../src/index.ts';

const folder = 'docs/course';
const chapters = readdirSync(folder)
  .filter((name) => /^\d/.test(name))
  .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');

/** The program that the blocks of a chapter are, one after the other. */
const programOf = (text: string) =>
  [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code).join('\n');

/** What a program's lines say that they print. */
const promised = (program: string) =>
  [...program.matchAll(/console\.log\(.*\); \/\/ → (.*)$/gm)].map(([, text]) => text!);

const AsyncFunction = (async () => {}).constructor as new (
  ...words: string[]
) => (...given: unknown[]) => Promise<void>;

/** Runs a program on the library's sources, and gives what it prints, each line as Node prints it. */
async function run(program: string): Promise<string[]> {
  const printed: string[] = [];
  const text = (value: unknown) => (typeof value === 'string' ? value : inspect(value));
  const log = (...values: unknown[]) => printed.push(values.map(text).join(' '));
  const body = program.replace(
    /^import \{([^}]*)\} from 'clip-agiqa-webgpu';$/gm,
    (_, names: string) => `const {${names}} = library;`,
  );
  await new AsyncFunction('library', 'console', body)(library, { log });
  return printed;
}

it.each(chapters)('the code of %s runs and prints what stands behind it', async (name) => {
  const program = programOf(read(name));
  expect(program).toContain('gpu.close()');
  const printed = await run(program);
  expect(printed).toEqual(promised(program));
  expect(printed.length).toBeGreaterThan(1);
});

it('every block of code is run, in the order of the contents', () => {
  for (const name of [...chapters, 'README.md'])
    for (const [, language] of read(name).matchAll(/^```(\w*)\n[\s\S]*?^```$/gm))
      expect(['js'], name).toContain(language);
  const listed = [...read('README.md').matchAll(/^\| \[\d+\. [^\]]*\]\(([^)]*)\)/gm)].map(([, path]) => path);
  expect(listed).toEqual(chapters);
  for (const [i, name] of chapters.slice(0, -1).entries())
    expect(read(name)).toContain(`(${chapters[i + 1]})`);
});

it('has the figures of the step that was recorded for it', () => {
  const text = read('9-the-machine.md');
  const summary = JSON.parse(readFileSync(courseStep, 'utf8')) as StepSummary;
  expect(withFigures(text, stepFigures(summary))).toBe(text);
  const sum = (list: readonly { calls: number }[]) => list.reduce((total, { calls }) => total + calls, 0);
  expect(sum(summary.phases)).toBe(summary.dispatches);
  // What the chapter says of them.
  const spared = Math.max(...summary.spared.map(({ operations }) => operations));
  const there = summary.phases.reduce((total, { operations }) => total + operations, 0);
  expect(spared).toBeGreaterThan(there);
  expect(() => withFigures('no marks', 'figures')).toThrow('no marks');
});
