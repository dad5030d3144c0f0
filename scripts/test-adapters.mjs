// npm run test:adapters: the kernel tests and the reference values on every adapter that a machine without a GPU can play: Mesa's
// lavapipe with subgroups of 4, 8 and 16 lanes, SwiftShader, and both seen as a GPU, without optional features, and with no more than
// WebGPU's default limits (docs/adapters.md). --help lists the options.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { swiftShader } from './swiftshader.mjs';

/** What holds every variant to float64, and what depends on the adapter besides. */
const kernelTests = ['matmul', 'attention', 'row-kernels', 'linear', 'finite-arithmetic', 'wgsl', 'capture'];
/** Of one file's variants the pipelines of another add nothing: what CI has time for. */
const quickTests = ['row-kernels', 'linear', 'finite-arithmetic', 'wgsl'];

const lavapipe = (lanes) => ({ LP_NATIVE_VECTOR_WIDTH: String(32 * lanes) });

/** `quick`: part of CI, which tries each driver, each size of subgroup, the path of a GPU and each mask at least once. */
const machines = [
  { name: 'lavapipe, subgroups of 8', env: lavapipe(8), profile: '' },
  { name: 'lavapipe, subgroups of 8', env: lavapipe(8), profile: 'gpu', quick: true, parity: true },
  { name: 'lavapipe, subgroups of 8', env: lavapipe(8), profile: 'no-subgroups' },
  {
    name: 'lavapipe, subgroups of 8',
    env: lavapipe(8),
    profile: 'gpu,no-subgroups',
    quick: true,
    more: ['run-tuning'],
  },
  {
    name: 'lavapipe, subgroups of 8',
    env: lavapipe(8),
    profile: 'no-texture-reads,no-timestamps,no-f16,no-subgroup-size',
    quick: true,
  },
  { name: 'lavapipe, subgroups of 8', env: lavapipe(8), profile: 'default-limits' },
  { name: 'lavapipe, subgroups of 8', env: lavapipe(8), profile: 'gpu,default-limits', quick: true },
  { name: 'lavapipe, subgroups of 4', env: lavapipe(4), profile: '', quick: true },
  { name: 'lavapipe, subgroups of 4', env: lavapipe(4), profile: 'gpu' },
  { name: 'lavapipe, subgroups of 16', env: lavapipe(16), profile: '' },
  { name: 'lavapipe, subgroups of 16', env: lavapipe(16), profile: 'gpu', quick: true },
  { name: 'SwiftShader', driver: true, profile: '', quick: true, parity: true },
  { name: 'SwiftShader', driver: true, profile: 'gpu', quick: true },
];

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    ci: { type: 'boolean', default: false },
    only: { type: 'string' },
    report: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`Usage: npm run test:adapters -- [options]

  --quick        the part that continuous integration runs, in a few minutes
  --ci           a driver that cannot be had is a failure, not a remark
  --only WORD    machines whose name or profile has the word
  --report FILE  JSON: { passed, failed, machines }
`);
  process.exit(0);
}

const chosen = machines.filter(
  ({ name, profile, quick }) =>
    (!values.quick || quick) && (!values.only || `${name}, ${profile}`.includes(values.only)),
);
const driver = chosen.some((machine) => machine.driver) ? swiftShader() : {};
const work = mkdtempSync(join(tmpdir(), 'test-adapters-'));
const results = [];
try {
  for (const machine of chosen) results.push(tryOn(machine));
} finally {
  rmSync(work, { recursive: true });
}
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.reduce((sum, result) => sum + result.failed, 0);
process.stdout.write(`${passed} passed, ${failed} failed on ${results.length} adapters\n`);
if (values.report)
  writeFileSync(values.report, `${JSON.stringify({ passed, failed, machines: results }, null, 1)}\n`);
if (failed > 0 || passed === 0) process.exit(1);

function tryOn({ name, env, driver: needsDriver, profile, quick, parity, more = [] }) {
  const title = profile ? `${name}, seen as: ${profile}` : name;
  if (needsDriver && driver.missing) {
    process.stdout.write(`${title.padEnd(88)} ${values.ci ? 'FAILED' : 'left out'}: ${driver.missing}\n`);
    return { title, passed: 0, failed: values.ci ? 1 : 0, missing: driver.missing };
  }
  const began = performance.now();
  const environment = {
    ...process.env,
    ...env,
    ...(needsDriver && { VK_DRIVER_FILES: driver.path, VK_ICD_FILENAMES: driver.path }),
    CLIP_AGIQA_ADAPTER_PROFILE: profile,
    // Tables and features of other runs decide nothing here.
    XDG_CACHE_HOME: join(work, 'cache'),
    NO_COLOR: '1',
  };
  const tests = runTests([...(values.quick ? quickTests : kernelTests), ...more], environment);
  const figures = values.quick && !parity ? { passed: 0, failed: 0, lines: [] } : runParity(environment);
  const checks = runSelfCheck(environment);
  const all = [tests, figures, checks];
  const passed = all.reduce((sum, one) => sum + one.passed, 0);
  const failed = all.reduce((sum, one) => sum + one.failed, 0);
  const seconds = Math.round((performance.now() - began) / 1000);
  process.stdout.write(`${title.padEnd(88)} ${passed} passed, ${failed} failed, ${seconds} s\n`);
  for (const line of all.flatMap(({ lines }) => lines)) process.stdout.write(`  ${line}\n`);
  return { title, passed, failed, seconds, quick: Boolean(quick) };
}

function runTests(names, env) {
  const report = join(work, 'vitest.json');
  rmSync(report, { force: true });
  const files = names.map((name) => `test/${name}.test.ts`);
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    ...files,
    '--reporter=json',
    `--outputFile=${report}`,
  ];
  const { stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', maxBuffer: 2 ** 28 });
  let json;
  try {
    json = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, lines: ['the tests did not run:', ...stderr.split('\n').slice(-5)] };
  }
  const broken = json.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const lines = [
    ...broken.map((file) => `${file.name}: ${file.message.split('\n')[0]}`),
    ...json.testResults.flatMap((file) =>
      file.assertionResults
        .filter(({ status }) => status === 'failed')
        .map((test) => `${test.fullName}: ${(test.failureMessages[0] ?? '').split('\n')[0]}`),
    ),
  ];
  return { passed: json.numPassedTests, failed: json.numFailedTests + broken.length, lines };
}

/** What the engine tries on an adapter that it has not seen before. */
function runSelfCheck(env) {
  const args = ['dist/adapter.js', '--brief', '--json'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  try {
    const { findings } = JSON.parse(stdout);
    const wrong = findings.filter((finding) => finding.wrong !== undefined);
    return {
      passed: findings.length - wrong.length,
      failed: wrong.length,
      lines: wrong.map((finding) => `self-check ${finding.name}: ${finding.wrong}`),
    };
  } catch {
    return {
      passed: 0,
      failed: 1,
      lines: [`adapter ended with status ${status}`, ...stderr.split('\n').slice(-4)],
    };
  }
}

/** Forward and training, figure by figure. */
function runParity(env) {
  const args = [
    'dist/parity.js',
    '--reference',
    'test/fixtures/reference',
    '--only',
    'forward',
    'training',
    '--json',
  ];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  try {
    // Those of weights that are not among the fixtures are no failures.
    const figures = JSON.parse(stdout).results.filter(({ missing }) => !missing);
    const wrong = figures.filter(({ ok }) => !ok);
    return {
      passed: figures.length - wrong.length,
      failed: wrong.length,
      lines: wrong.map((figure) => `parity ${JSON.stringify(figure)}`),
    };
  } catch {
    return {
      passed: 0,
      failed: 1,
      lines: [`parity ended with status ${status}`, ...stderr.split('\n').slice(-4)],
    };
  }
}
