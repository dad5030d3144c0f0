import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('interrupt-module');
const program = join(folder, 'program.mjs');
beforeAll(async () => {
  // A command reads its version from the package that it is part of.
  writeFileSync(join(folder, 'package.json'), '{ "version": "1.2.3" }');
  const source = join(folder, 'program.ts');
  const from = (path: string) => JSON.stringify(resolve('src', path));
  writeFileSync(
    source,
    `import { createCommand, runCommand } from ${from('cli/command.ts')};
     import { watchInterrupts } from ${from('cli/interrupt.ts')};
     import { Stopped } from ${from('common/errors.ts')};
     import { openOutput } from ${from('common/files.ts')};
     await runCommand(createCommand('program', 'Waits.', []).argument('[how]').argument('[file]'), async (_, [how, file]) => {
       if (how === 'plain') {
         openOutput(file).write('half of it');
         setInterval(() => {}, 1000);
         process.stdout.write('ready');
         return;
       }
       const signal = watchInterrupts();
       const alive = setInterval(() => {}, 1000);
       process.stdout.write('ready');
       await new Promise((done) => signal.addEventListener('abort', done));
       process.stdout.write(' aborted');
       if (how === 'stubborn') await new Promise(() => {});
       clearInterval(alive);
       throw new Stopped('after 3 of 5', 'program --resume');
     });`,
  );
  await build({
    entryPoints: [source],
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    nodePaths: [resolve('node_modules')],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
});

/** Runs the program and sends it a signal each time it has printed the next of `cues`. */
async function interrupt(name: 'SIGINT' | 'SIGTERM', cues: readonly string[], ...args: string[]) {
  const child = spawn(process.execPath, [program, ...args]);
  let [stdout, stderr, sent] = ['', '', 0];
  child.stderr.on('data', (data) => (stderr += data));
  child.stdout.on('data', (data) => {
    stdout += data;
    if (sent < cues.length && stdout.endsWith(cues[sent]!)) {
      sent++;
      child.kill(name);
    }
  });
  const status = await new Promise<number | null>((done) => child.on('close', done));
  return { status, stdout, stderr };
}

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s lets a command end its work and say so, with status %i', async (name, status) => {
  expect(await interrupt(name, ['ready'])).toEqual({
    status,
    stdout: 'ready aborted',
    stderr: 'stopped    after 3 of 5; continue with: program --resume\n',
  });
});

it('a second one ends the process at once', async () => {
  const { status, stderr } = await interrupt('SIGINT', ['ready', 'aborted'], 'stubborn');
  expect(status).toBe(130);
  expect(stderr).toBe('');
});

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends a command that does not watch for it, without half a file', async (name, expected) => {
  const results = join(folder, `results-${name}`);
  mkdirSync(results);
  const file = join(results, 'out.csv');
  writeFileSync(file, 'the older one');
  const { status, stderr } = await interrupt(name, ['ready'], 'plain', file);
  expect(status).toBe(expected);
  expect(stderr).toMatch(/^stopped {4}before it finished; .*run the command again for the rest\n$/);
  expect(readdirSync(results)).toEqual(['out.csv']);
  expect(readFileSync(file, 'utf8')).toBe('the older one');
});
