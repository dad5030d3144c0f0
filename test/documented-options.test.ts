import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { asReplaced, outdated } from './documented-rules.ts';
import { Runner } from './documented-runner.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The quick part of what documents and help pages promise: test/documented-examples.test.ts runs the lines.

const home = temporaryFolder('documented-options');

it('every option of a documented command line is on its help page', async ({ signal }) => {
  symlinkSync(resolve('dist'), join(home, 'dist'));
  const runner = new Runner(home, signal);
  const documented = await runner.documented();
  expect(outdated(documented)).toEqual([]);

  const pages = new Map<string, string>();
  const page = async (name: string) => {
    if (!pages.has(name)) pages.set(name, await runner.help(name));
    return pages.get(name)!;
  };
  const unknown: string[] = [];
  let options = 0;
  for (const { line, where } of documented)
    for (const { name, rest } of commandsIn(asReplaced(line)))
      for (const [, option] of rest.matchAll(/(?:^| )(--[a-z][a-z-]*)/g)) {
        options++;
        if (!new RegExp(`^ .*${option}\\b`, 'm').test(await page(name)))
          unknown.push(`${where}: ${option} in ${line}`);
      }
  runner.end();
  expect(unknown).toEqual([]);
  expect(options).toBeGreaterThan(300);
}, 120_000);

/** The commands of ours in a line of a shell, by the name of their file, each with what is written after it. */
function* commandsIn(line: string): Generator<{ name: string; rest: string }> {
  for (const part of line.replace(/"[^"]*"|'[^']*'/g, "''").split(/[|;&]/)) {
    const [, file, words] = /\bnode dist\/([\w/-]+)\.js(.*)/.exec(part) ?? [];
    if (file === undefined) continue;
    const [, sub, rest] = /^ ([a-z0-9]+)(.*)/.exec(words!) ?? [];
    yield file === 'clip-agiqa-webgpu' && sub ? { name: sub, rest: rest! } : { name: file, rest: words! };
  }
}
