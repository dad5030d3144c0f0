import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { type HangError, Watchdog, watchdogSeconds } from '../src/kernels/device/watchdog.ts';

describe('the watchdog', () => {
  const barks: HangError[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    barks.length = 0;
  });
  afterEach(() => void vi.useRealTimers());

  const make = (seconds: number, software = true) =>
    new Watchdog(seconds, software, (error) => barks.push(error));

  it('barks once when what was sent does not come, and names the last kernels', () => {
    const dog = make(600);
    for (let i = 0; i < 20; i++) dog.sent(`kernel ${i}`, 1);
    dog.begin();
    vi.advanceTimersByTime(599_000);
    expect(barks).toEqual([]);
    vi.advanceTimersByTime(3_000);
    expect(barks[0]).toBeInstanceOf(UserError);
    expect(barks[0]!.message).toMatch(
      /^the GPU has not finished in 60\d s .* the last kernels submitted: kernel 12, kernel 13, .*, kernel 19$/,
    );
    expect(barks[0]!.advice).toMatch(/CLIP_AGIQA_WATCHDOG=SECONDS/);
    vi.advanceTimersByTime(10_000_000);
    expect(barks.length).toBe(1);
  });

  it('gives more time for more work, and to a processor more than to a GPU', () => {
    for (const [software, seconds] of [
      [true, 1200],
      [false, 630],
    ] as const) {
      barks.length = 0;
      const dog = make(600, software);
      dog.sent('matmul', 30_000);
      dog.begin();
      vi.advanceTimersByTime((seconds - 2) * 1000);
      expect(barks).toEqual([]);
      vi.advanceTimersByTime(4_000);
      expect(barks.length).toBe(1);
    }
  });

  it('counts from the last time that anything finished, and only while something waits', () => {
    const dog = make(600);
    dog.sent('matmul', 1);
    expect(dog.busy).toBe(true);
    vi.advanceTimersByTime(10_000_000);
    const [first, second] = [dog.begin(), dog.begin()];
    vi.advanceTimersByTime(500_000);
    first(true);
    expect(dog.busy).toBe(false);
    vi.advanceTimersByTime(500_000);
    expect(barks).toEqual([]);
    second(true);
    vi.advanceTimersByTime(10_000_000);
    const third = dog.begin();
    vi.advanceTimersByTime(500_000);
    expect(barks).toEqual([]);
    // A wait that was given up finishes nothing.
    dog.sent('matmul', 1);
    dog.begin()(false);
    expect(dog.busy).toBe(true);
    vi.advanceTimersByTime(102_000);
    expect(barks.length).toBe(1);
    third(false);
  });

  it('does not count the time in which the machine sleeps', () => {
    const dog = make(600);
    dog.begin();
    vi.advanceTimersByTime(10_000);
    const now = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(now + 86_400_000);
    vi.advanceTimersByTime(1_000);
    expect(barks).toEqual([]);
    vi.restoreAllMocks();
  });

  it('is turned off by 0, and takes its seconds from the environment', () => {
    const dog = make(0);
    dog.begin();
    vi.advanceTimersByTime(1e9);
    expect(barks).toEqual([]);
    expect(watchdogSeconds(undefined)).toBe(600);
    vi.stubEnv('CLIP_AGIQA_WATCHDOG', '90');
    expect([watchdogSeconds(undefined), watchdogSeconds(0), watchdogSeconds(5)]).toEqual([90, 0, 5]);
    vi.stubEnv('CLIP_AGIQA_WATCHDOG', 'soon');
    expect(() => watchdogSeconds(undefined)).toThrow(/CLIP_AGIQA_WATCHDOG=soon is not a number of seconds/);
    expect(() => watchdogSeconds(-1)).toThrow(/watchdog: -1 is not a number/);
    vi.unstubAllEnvs();
  });
});

/** Runs a script with the built library; kills it after `limit` seconds whatever it does. */
function child(
  script: string,
  limit: number,
): Promise<{ code: number | null; out: string; seconds: number }> {
  const prelude = `import { openGpu, Tensor } from './dist/index.js';
    // About ten nanoseconds a round.
    const spin = (gpu, seconds) => {
      const y = Tensor.from(gpu, [1]);
      const source = \`@group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn main() {
          var v = y[0];
          for (var j = 0u; j < \${seconds}u * 10u; j++) { for (var i = 0u; i < 10000000u; i++) { v = fract(v * 1.618 + 0.1); } }
          y[0] = v;
        }\`;
      gpu.run({ name: 'spin', source }, { buffers: [y.buffer], groups: [1] });
      return y;
    };`;
  return new Promise((resolve) => {
    const began = performance.now();
    const running = spawn(process.execPath, ['--input-type=module', '-e', `${prelude}\n${script}`]);
    const killed = setTimeout(() => running.kill('SIGKILL'), 1000 * limit);
    let out = '';
    for (const stream of [running.stdout, running.stderr])
      stream.on('data', (data) => {
        out += data;
      });
    running.on('close', (code) => {
      clearTimeout(killed);
      resolve({ code, out, seconds: (performance.now() - began) / 1000 });
    });
  });
}

describe('a GPU that does not come to an end', () => {
  it('is given up with a clear error, close() returns, and the process can end', async () => {
    const { code, out } = await child(
      `const gpu = await openGpu({ watchdog: 1 });
      const other = gpu.finish();
      const y = spin(gpu, 120);
      const told = await Promise.allSettled([y.read(), other]);
      console.log(told[0].reason.name, told[0].reason.message, told[1].status);
      try { y.write(Float32Array.of(1)); } catch (error) { console.log('then', error.name); }
      const began = performance.now();
      gpu.close();
      console.log('closed', performance.now() - began < 500);
      await gpu.reopen().catch((error) => console.log('again', error.name));
      process.exit(5);`,
      40,
    );
    expect(out).toMatch(
      /HangError the GPU has not finished in \d+ s .* the last kernels submitted: (?:.*, )?spin fulfilled/,
    );
    expect(out).toMatch(/then HangError/);
    expect(out).toMatch(/closed true/);
    expect(out).toMatch(/again HangError/);
    expect(code).toBe(5);
  }, 60_000);

  it('but only takes its time is waited for after close(), and the process then ends by itself', async () => {
    const { code, out } = await child(
      `const gpu = await openGpu();
      const y = spin(gpu, 2);
      const read = y.read().catch((error) => console.log(error.message));
      const began = performance.now();
      gpu.close();
      console.log('closed', performance.now() - began < 500);
      await read;
      process.on('exit', () => console.log('ended'));`,
      60,
    );
    expect(out).toMatch(/closed true[\s\S]*this GPU is closed[\s\S]*ended/);
    expect(code).toBe(0);
  }, 90_000);

  it('ends a command in one line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'watchdog-'));
    const out = join(folder, 'none.safetensors');
    // The embedded model takes tens of milliseconds, the watchdog a tenth of one.
    const { status, stderr } = spawnSync(
      process.execPath,
      ['dist/encode.js', '--image', 'test/fixtures/preprocess/gray.png', '--out', out],
      {
        encoding: 'utf8',
        env: { ...process.env, CLIP_AGIQA_WATCHDOG: '0.0001' },
        timeout: 60_000,
      },
    );
    expect(stderr).toMatch(/^error: the GPU has not finished in 0 s .*\n {2}A kernel or the driver hangs/m);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(status).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  }, 90_000);
});

describe('the last resort', () => {
  const ended = (script: string) =>
    new Promise<{ signal: NodeJS.Signals | null; code: number | null; seconds: number }>((resolve) => {
      const began = performance.now();
      const source = readFileSync('src/cli/last-resort.ts', 'utf8');
      const { code: module } = transformSync(source, { loader: 'ts', format: 'esm' });
      const running = spawn(process.execPath, ['--input-type=module', '-e', module + script]);
      const killed = setTimeout(() => running.kill('SIGTERM'), 30_000);
      running.on('close', (code, signal) => {
        clearTimeout(killed);
        resolve({ signal, code, seconds: (performance.now() - began) / 1000 });
      });
    });

  it('ends a process that stands still, and leaves one alone that has gone', async () => {
    const still = await ended(
      'killUnlessGone(500); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);',
    );
    expect(still).toMatchObject({ signal: 'SIGKILL' });
    expect(await ended('killUnlessGone(600_000); process.exit(3);')).toMatchObject({ code: 3, signal: null });
  }, 60_000);
});
