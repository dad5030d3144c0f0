// node bench/shard-faults.mjs redis|postgres IMAGES [score options]: two workers share a run in shards of 64 while one is killed with -9
// in mid-shard, the server is killed and started again, a third worker joins late, and the run is handed out twice. Then the merged file
// must be that of one process, byte for byte. Needs a build, and redis-server, or PostgreSQL's programs and a user postgres if run by root.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, startRedis } from '../scripts/queue-servers.mjs';

const begin = { redis: startRedis, postgres: startPostgres };
const [kind, images, ...options] = process.argv.slice(2);
if (!begin[kind] || !images) {
  process.stderr.write('usage: node bench/shard-faults.mjs redis|postgres IMAGES [score options]\n');
  process.exit(1);
}
/** Milliseconds without a server: more than the process that waits for the run lets pass between two looks at it. */
const outage = 12_000;

const started = performance.now();
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const say = (...words) => console.log(seconds(started).padStart(9), ...words);
const until = async (what, done) => {
  for (const from = performance.now(); !done(); await sleep(50))
    if (performance.now() - from > 600_000) throw new Error(`${what}: nothing in 600 s`);
};

const folder = mkdtempSync(join(tmpdir(), 'faults-'));
const children = new Set();
let server;
try {
  server = await begin[kind]();
  process.exitCode = (await scenario()) ? 0 : 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  await server?.stop();
  rmSync(folder, { recursive: true });
}

async function scenario() {
  const run = join(folder, 'run');
  const plain = join(folder, 'plain.csv');
  command('score', images, '--csv', plain, ...options);
  say('one process:', readFileSync(plain, 'utf8').split('\n').length - 2, 'rows');
  command('score', images, '--out', run, '--shard-size', '64', '--plan-only', ...options);
  for (let i = 0; i < 2; i++)
    say('handed out:', /queue +(.*)/.exec(command('score', '--out', run, '--queue', '--detach'))?.[1]);

  const shared = performance.now();
  const waiting = start('score', '--out', run, '--queue');
  const [first, second] = [startWorker('first'), startWorker('second')];
  await until('two shards of the first', () => first.written.length >= 2);
  const [before, last] = first.written.slice(-2);
  await sleep((last - before) / 2);
  first.child.kill('SIGKILL');
  say('first worker killed with -9 in mid-shard, after', first.written.length, 'shards');
  await until('three shards of the second', () => second.written.length >= 3);
  await server.kill();
  say('server killed with -9');
  await sleep(outage);
  await server.start();
  say('server started again');
  const third = startWorker('third');
  say('third worker joins');
  const status = await waiting.ended;
  say(`all there: exit status ${status}; ${seconds(shared)} for the run`);
  for (const { child } of [second, third]) child.kill('SIGTERM');
  for (const worker of [first, second, third]) {
    await worker.ended;
    const count = (pattern) => (worker.text.match(pattern) ?? []).length;
    const [found, failed] = [count(/: (same|already)/g), count(/^(stalled|failed)/gm)];
    const { name, written } = worker;
    say(`${name}: ${written.length} shards written, ${found} found done, ${failed} stalled or failed`);
  }
  const merged = join(folder, 'merged.csv');
  command('merge', run, '--csv', merged);
  const equal = readFileSync(merged).equals(readFileSync(plain));
  say('merged file equals the one-process file byte for byte:', equal);
  return equal && status === 0;
}

/** What a command that must succeed wrote to stderr. */
function command(name, ...args) {
  const env = { ...process.env, QUEUE_URL: server.url };
  const { status, stderr } = spawnSync(process.execPath, [`dist/${name}.js`, ...args], {
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stderr;
}

function start(name, ...args) {
  const child = spawn(process.execPath, [`dist/${name}.js`, ...args], {
    env: { ...process.env, QUEUE_URL: server.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const begun = { child, text: '', ended: new Promise((done) => child.on('close', done)) };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (begun.text += data));
  return begun;
}

/** A worker, with the times at which it wrote its shards. */
function startWorker(name) {
  const worker = Object.assign(start('worker', '--root', '/', '--lock-seconds', '10'), { name, written: [] });
  const note = () => {
    const shards = (worker.text.match(/^shard \d+: written/gm) ?? []).length;
    while (worker.written.length < shards) worker.written.push(performance.now());
  };
  for (const stream of [worker.child.stdout, worker.child.stderr]) stream.on('data', note);
  return worker;
}
