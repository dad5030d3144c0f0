import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dawnRemarks } from '../src/cli/dawn-remarks.ts';

const folder = mkdtempSync(join(tmpdir(), 'native-stderr-'));
const program = join(folder, 'program.mjs');
const temporary = join(folder, 'tmp');
beforeAll(async () => {
  mkdirSync(temporary);
  const source = join(folder, 'program.ts');
  // writeSync goes to the descriptor, as native code does.
  writeFileSync(
    source,
    `import { readlinkSync, writeSync } from 'node:fs';
     import { withoutNativeLines } from ${JSON.stringify(resolve('src/cli/native-stderr.ts'))};
     if (process.argv[2] === 'early') process.stderr.write('early\\n');
     const stdout = readlinkSync('/proc/self/fd/1');
     try {
       withoutNativeLines(/^Warning: [ab] is reduced$/m, () => {
         writeSync(2, 'Warning: a is reduced\\nError: x\\nWarning: b is reduced\\nWarning: c is reduced\\n');
         if (process.argv[2] === 'throws') throw new Error('from within');
       });
     } catch (error) {
       process.stderr.write(error.message + '\\n');
     }
     process.stderr.write('after\\n');
     writeSync(2, 'and after\\n');
     process.stdout.write(stdout === readlinkSync('/proc/self/fd/1') ? 'same' : 'another');`,
  );
  await build({ entryPoints: [source], outfile: program, bundle: true, format: 'esm', platform: 'node' });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a line of shell, in which $P is the program. */
function shell(line: string) {
  const env = { ...process.env, P: `${process.execPath} ${program}`, TMPDIR: temporary };
  const { stdout, status } = spawnSync('sh', ['-c', line], {
    encoding: 'utf8',
    cwd: folder,
    env,
    timeout: 30_000,
  });
  return { stdout, status };
}

const whole =
  'Warning: a is reduced\nError: x\nWarning: b is reduced\nWarning: c is reduced\nafter\nand after\n';
const filtered = 'Error: x\nWarning: c is reduced\nafter\nand after\n';

it('of what Dawn says only what a user can do something about is kept', () => {
  const said = [
    'Warning: maxDynamicStorageBuffersPerPipelineLayout artificially reduced from 1000000 to 16 to fit dynamic offset allocation limit.\n',
    "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory\n",
    '    at operator() (third_party/dawn/src/dawn/native/vulkan/BackendVk.cpp:368)\n',
    'error: at least (this) is no line of source\n',
  ];
  expect(said.filter((line) => !dawnRemarks.test(line))).toEqual([said[1], said[3]]);
});

describe.runIf(process.platform === 'linux')('lines of native code on stderr', () => {
  it('are kept back from a pipe, and no others; stdout stays', () => {
    expect(shell('$P 2>&1 >out.txt | cat').stdout).toBe(filtered);
    expect(readFileSync(join(folder, 'out.txt'), 'utf8')).toBe('same');
    expect(shell('$P early 2>&1 >/dev/null | cat').stdout).toBe(`early\n${filtered}`);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('are kept back where the work fails, whose error comes out', () => {
    const [, ...rest] = filtered.split('after');
    const text = `Error: x\nWarning: c is reduced\nfrom within\nafter${rest.join('after')}`;
    expect(shell('$P throws 2>&1 >/dev/null | cat').stdout).toBe(text);
  });

  it.each([
    'echo before >log.txt; ($P >/dev/null; echo end >&2) 2>>log.txt',
    '(echo before >&2; $P >/dev/null; echo end >&2) 2>log.txt',
    // Whoever else writes to the file loses nothing, before or after.
    'rm -f gone; exec 2>log.txt; echo before >&2; (until [ -e gone ]; do sleep 0.05; done; echo end >&2) & $P >/dev/null; touch gone; wait',
  ])('are kept back from a file: %s', (line) => {
    shell(line);
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toBe(`before\n${filtered}end\n`);
  });

  it('come to a file that takes output, too, in their order', () => {
    shell('(echo before; $P; echo; echo end) >log.txt 2>&1');
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toBe(`before\n${filtered}same\nend\n`);
  });

  it('stay where the file is written in its middle, or no GNU dd is there', () => {
    writeFileSync(join(folder, 'log.txt'), `before\n${'-'.repeat(whole.length)}\nend\n`);
    shell('(read line <&3; $P >/dev/null 2>&3) 3<>log.txt');
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toBe(`before\n${whole}\nend\n`);
    shell('PATH=/nowhere $P >/dev/null 2>log.txt');
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toBe(whole);
  });

  it('keep nobody waiting whose reader has gone', () => {
    const line = 'exec 3>&1; { sleep 0.3; $P 2>&1 >/dev/null; echo ended >&3; } | true';
    expect(shell(line).stdout).toBe('ended\n');
  });

  it('stay where stderr is a socket', () => {
    const { stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
    expect(stderr).toBe(whole);
  });

  // util-linux's; where it lacks, the case is left out, but not in CI.
  const hasScript = spawnSync('script', ['--version']).status === 0;
  it.runIf(hasScript || process.env.CI !== undefined)('are kept back from a terminal', () => {
    const command = `${process.execPath} ${program}`;
    const shown = execFileSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' });
    expect(shown.replaceAll('\r', '')).toBe(`${filtered}same`);
  });

  it("hold Dawn's remarks about software adapters, and the command works on", () => {
    const line = `${process.execPath} dist/score.js test/fixtures/decode/grey.jpg --zero-shot 2>&1 >/dev/null | cat`;
    const stderr = execFileSync('sh', ['-c', line], { encoding: 'utf8' });
    expect(stderr).not.toContain('maxDynamic');
    expect(stderr).toMatch(/^adapter /m);
    expect(stderr).toMatch(/^scores {5}1 image: /m);
  });
});
