// node bench/shard-faults.mjs redis|postgres IMAGES [score options]: two workers share a run in shards of 64 while one is killed with -9
// in mid-shard, the server is killed and started again, a third worker joins late, and the run is handed out twice. Then the merged file
// must be that of one process, byte for byte. Needs a build, and redis-server, or PostgreSQL's programs and a user postgres if run by root.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [kind, images, ...options] = process.argv.slice(2);
if (!['redis', 'postgres'].includes(kind) || !images) {
  process.stderr.write('usage: node bench/shard-faults.mjs redis|postgres IMAGES [score options]\n');
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'faults-'));
const run = join(folder, 'run');
const began = performance.now();
const say = (...words) =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`.padStart(9), ...words);
const wait = async (what, done, seconds = 600) => {
  for (let waited = 0; !done(); waited += 0.05) {
    if (waited > seconds) throw new Error(`${what}: nothing in ${seconds} s`);
    await sleep(50);
  }
};

const server = kind === 'redis' ? redis() : postgres();
server.start();
const env = { ...process.env, QUEUE_URL: server.url };
const command = (name, ...args) =>
  spawnSync(process.execPath, [`dist/${name}.js`, ...args], { env, encoding: 'utf8' });
const workers = [];
function startWorker(name) {
  const args = ['dist/worker.js', '--root', '/', '--lock-seconds', '10'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const worker = { name, child, text: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (worker.text += data));
  workers.push(worker);
  return worker;
}
const shards = (worker) => (worker.text.match(/^shard \d+: written/gm) ?? []).length;

const plain = join(folder, 'plain.csv');
const one = command('score', images, '--csv', plain, ...options);
if (one.status !== 0) throw new Error(one.stderr);
say('one process:', readFileSync(plain, 'utf8').split('\n').length - 2, 'rows');
const planned = command('score', images, '--out', run, '--shard-size', '64', '--plan-only', ...options);
if (planned.status !== 0) throw new Error(planned.stderr);
for (let i = 0; i < 2; i++) {
  const { stderr } = command('score', '--out', run, '--queue', '--detach');
  say('handed out:', /queue +(.*)/.exec(stderr)?.[1] ?? stderr);
}
const began2 = performance.now();
const waiting = spawn(process.execPath, ['dist/score.js', '--out', run, '--queue'], { env, stdio: 'ignore' });
const ended = new Promise((done) => waiting.on('close', done));
const [first, second] = [startWorker('first'), startWorker('second')];
await wait('the first shards', () => shards(first) >= 1 && shards(second) >= 1);
await sleep(700);
first.child.kill('SIGKILL');
say('first worker killed with -9 in mid-shard, after', shards(first), 'shards');
await wait('more of the second', () => shards(second) >= 3);
await server.kill();
say('server killed with -9');
await sleep(12000); // longer than the process that waits leaves the server alone
server.start();
say('server started again');
const third = startWorker('third');
say('third worker joins');
const status = await ended;
say('all there: exit status', status, `; ${((performance.now() - began2) / 1000).toFixed(1)} s for the run`);
for (const { child } of [second, third]) child.kill('SIGTERM');
await sleep(2000);
for (const worker of workers)
  say(
    `${worker.name}:`,
    shards(worker),
    'shards written,',
    (worker.text.match(/: (same|already)/g) ?? []).length,
    'found done,',
    (worker.text.match(/^(stalled|failed)/gm) ?? []).length,
    'stalled or failed',
  );
const merged = join(folder, 'merged.csv');
command('merge', run, '--csv', merged);
const equal = readFileSync(merged).equals(readFileSync(plain));
say('merged file equals the one-process file byte for byte:', equal);
await server.kill();
for (const { child } of workers) child.kill('SIGKILL');
rmSync(folder, { recursive: true });
process.exit(equal && status === 0 ? 0 : 1);

function redis() {
  const socket = join(folder, 's');
  let child;
  return {
    url: `redis+unix://${socket}`,
    start() {
      rmSync(socket, { force: true });
      const args = [
        '--port',
        '0',
        '--unixsocket',
        socket,
        '--dir',
        folder,
        '--appendonly',
        'yes',
        '--save',
        '',
      ];
      child = spawn('redis-server', args, { stdio: 'ignore' });
    },
    async kill() {
      child.kill('SIGKILL');
      await sleep(300);
    },
  };
}

function postgres() {
  const root = '/usr/lib/postgresql';
  const programs = existsSync(root) ? join(root, readdirSync(root).at(-1), 'bin') : '';
  const data = join(folder, 'data');
  mkdirSync(data);
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const owner = process.getuid() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
  chmodSync(folder, 0o777);
  if (owner.uid) chownSync(data, owner.uid, owner.gid);
  execFileSync(join(programs, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres'], {
    ...owner,
    cwd: data,
    stdio: 'ignore',
  });
  let child;
  return {
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`,
    start() {
      rmSync(join(data, 'postmaster.pid'), { force: true });
      child = spawn(join(programs, 'postgres'), ['-D', data, '-k', folder, '-c', 'listen_addresses='], {
        ...owner,
        cwd: data,
        stdio: 'ignore',
      });
      spawnSync('sleep', ['3']);
    },
    async kill() {
      child.kill('SIGKILL');
      await sleep(1000);
    },
  };
}
