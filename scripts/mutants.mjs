// Mutation tests: applies each bug of test/mutants/list.mjs to a copy of the project, one at a time, and says which of them
// no test notices. `node scripts/mutants.mjs [--only REGEXP] [--list]`; the project itself is only read. Exit code 1 where a
// mutant survives or can no longer be applied.
import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants } from '../test/mutants/list.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { only: { type: 'string' }, list: { type: 'boolean' } } });
const chosen = mutants.filter(({ what }) => new RegExp(values.only ?? '').test(what));
if (values.list) {
  for (const { what, file, tests } of chosen) process.stdout.write(`${what} (${file}; ${tests.join(' ')})\n`);
  process.exit(0);
}

/** Longer than any of these test files takes on a busy machine: a mutant that hangs is a mutant that was noticed. */
const limitMs = 600_000;
const copy = mkdtempSync(join(tmpdir(), 'mutants-'));
let running;
const removeCopy = () => rmSync(copy, { recursive: true, force: true });
process.on('exit', removeCopy);
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    running?.kill('SIGKILL');
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });

copyProject();
const applicable = chosen.filter((mutant) => check(mutant));
let failed = chosen.length - applicable.length;
const files = [...new Set(applicable.flatMap(({ tests }) => tests))];
if (applicable.some(({ build }) => build)) await build();
const clean = await test(files);
if (clean.failed.length > 0 || clean.code !== 0) {
  const why = clean.failed.length > 0 ? clean.failed.join('\n') : clean.output.slice(-2000);
  process.stdout.write(`without any mutant these tests fail already:\n${why}\n`);
  process.exit(1);
}
for (const [i, mutant] of applicable.entries()) {
  const path = join(copy, mutant.file);
  const whole = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    whole.replace(mutant.text, () => mutant.becomes),
  );
  if (mutant.build) await build();
  const { failed: noticed, code } = await test(mutant.tests);
  writeFileSync(path, whole);
  const broken = noticed.length === 0 && code !== 0 && code !== null;
  const said = broken ? 'BROKEN  ' : code === 0 ? 'SURVIVED' : 'killed  ';
  if (said !== 'killed  ') failed++;
  const by = code === null ? 'it hangs' : (noticed[0] ?? '');
  process.stdout.write(`${i + 1}/${applicable.length} ${said} ${mutant.what}${by && `  (${by})`}\n`);
}
process.stdout.write(`${chosen.length - failed} of ${chosen.length} killed\n`);
process.exitCode = failed > 0 ? 1 : 0;

/** Every file of the project that git knows or would know, and the packages by a link. */
function copyProject() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: project,
    encoding: 'utf8',
  });
  for (const name of listed.split('\0').filter((one) => one && existsSync(join(project, one)))) {
    mkdirSync(dirname(join(copy, name)), { recursive: true });
    copyFileSync(join(project, name), join(copy, name));
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'), 'junction');
}

/** A mutant whose text is not there exactly once would test nothing. */
function check({ what, file, text, becomes }) {
  const path = join(copy, file);
  const count = existsSync(path) ? readFileSync(path, 'utf8').split(text).length - 1 : 0;
  if (count === 1 && text !== becomes) return true;
  process.stdout.write(`CANNOT BE APPLIED ${what}: ${file} holds its text ${count} times\n`);
  return false;
}

async function build() {
  const { code } = await start(['scripts/build.mjs']);
  if (code !== 0) throw new Error('the project does not build');
}

/** Runs test files up to the first failure; `failed` names the tests, `code` is null after the time limit. */
async function test(names) {
  const report = join(copy, 'mutants-report.json');
  rmSync(report, { force: true });
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--bail=1', '--reporter=json', `--outputFile=${report}`, ...names];
  const { code, output } = await start(args);
  const results = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
  const failed = results
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'failed')
    .map(({ fullName }) => fullName);
  return { failed, code, output };
}

function start(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'] });
    running = child;
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output = (output + data).slice(-20_000);
      });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}
