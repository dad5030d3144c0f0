// Servers that keep queues, for tests and for bench/shard-faults.mjs: each on a Unix socket in a folder of its own and on no port, so
// that any number may run at once; they can be killed with -9 and started again on what they kept.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const inPath = (name) =>
  (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** redis-server or valkey-server, where there is one. */
export const redisProgram = inPath('redis-server') ?? inPath('valkey-server');

/** The folder of PostgreSQL's programs; Debian has them in no PATH. */
export const postgresPrograms = [
  ...(inPath('initdb') ? [join(inPath('initdb'), '..')] : []),
  ...(existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
    : []),
].find((folder) => existsSync(join(folder, 'initdb')));

/** With an append-only file, as a queue needs it to survive its server. */
export async function startRedis(config = []) {
  if (!redisProgram) throw new Error('no redis-server: apt install redis-server, or brew install valkey');
  const folder = socketFolder('redis');
  const socket = join(folder, 's');
  const keep = ['--dir', folder, '--appendonly', 'yes', '--save', ''];
  return serve({
    folder,
    url: `redis+unix://${socket}`,
    signal: 'SIGKILL',
    launch() {
      rmSync(socket, { force: true });
      return spawn(redisProgram, ['--port', '0', '--unixsocket', socket, ...keep, ...config], {
        stdio: 'ignore',
      });
    },
    answers: () => existsSync(socket),
  });
}

/** PostgreSQL refuses to run as root: then it runs as the user postgres. */
export async function startPostgres() {
  if (!postgresPrograms) throw new Error('no PostgreSQL: apt install postgresql');
  const folder = socketFolder('pg');
  const data = join(folder, 'data');
  mkdirSync(data);
  const root = process.getuid?.() === 0;
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const owner = root ? { uid: id('-u'), gid: id('-g') } : {};
  if (root) for (const place of [folder, data]) chownSync(place, owner.uid, owner.gid);
  chmodSync(folder, 0o755);
  const options = { ...owner, cwd: folder };
  const made = spawnSync(
    join(postgresPrograms, 'initdb'),
    ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'],
    { ...options, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  return serve({
    folder,
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`,
    // SIGQUIT takes its own processes with it, which else notice a little later.
    signal: 'SIGQUIT',
    launch() {
      rmSync(join(data, 'postmaster.pid'), { force: true });
      const args = ['-D', data, '-k', folder, '-c', 'listen_addresses='];
      return spawn(join(postgresPrograms, 'postgres'), args, { ...options, stdio: 'ignore' });
    },
    answers: () => connects(folder),
  });
}

/** The server of `launch`, started: launched again where it ends at once, as PostgreSQL does while processes of a killed one live. */
async function serve({ folder, url, signal, launch, answers }) {
  let child;
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const end = async (by) => {
    if (!child || ended()) return;
    const exit = new Promise((done) => child.once('exit', done));
    child.kill(by);
    await exit;
  };
  const server = {
    url,
    async start() {
      const deadline = Date.now() + 30_000;
      child = launch();
      while (!(await answers())) {
        if (Date.now() > deadline) throw new Error(`${child.spawnfile} does not start`);
        if (ended()) child = launch();
        await sleep(20);
      }
    },
    kill: () => end('SIGKILL'),
    async stop() {
      await end(signal);
      // Processes of a killed PostgreSQL may still write for a moment.
      rmSync(folder, { recursive: true, maxRetries: 5 });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** A folder whose path is short enough for a socket: 107 bytes. */
const socketFolder = (name) => mkdtempSync(join('/tmp', `${name}-`));

async function connects(folder) {
  const client = new pg.Client({ host: folder, user: 'postgres', database: 'postgres' });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
