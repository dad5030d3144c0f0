import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A server that a test has started on a unix socket in a folder of its own: no port, so that any number may run at once. */
export interface TestServer {
  readonly url: string;
  /** kill -9. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const inPath = (name: string): string | undefined =>
  (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** redis-server or valkey-server, where there is one. */
export const redisProgram = inPath('redis-server') ?? inPath('valkey-server');

/** The folder of PostgreSQL's programs; Debian has them in no PATH. */
export const postgresPrograms = [
  ...(inPath('initdb') ? [join(inPath('initdb')!, '..')] : []),
  ...(existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
    : []),
].find((folder) => existsSync(join(folder, 'initdb')));

const exited = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((done) => child.once('exit', () => done()));

/** A folder whose path is short enough for a socket: 107 bytes. */
function socketFolder(name: string): string {
  return mkdtempSync(join('/tmp', `${name}-`));
}

/** With an append-only file, as a queue needs it to survive its server. */
export async function startRedis(program: string, config: readonly string[] = []): Promise<TestServer> {
  const folder = socketFolder('redis');
  const socket = join(folder, 's');
  let child: ChildProcess | undefined;
  const server: TestServer = {
    url: `redis+unix://${socket}`,
    async start() {
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
      child = spawn(program, [...args, ...config], { stdio: 'ignore' });
      for (let waited = 0; !existsSync(socket); waited += 20) {
        if (waited > 20_000) throw new Error(`${program} does not start`);
        await sleep(20);
      }
    },
    async kill() {
      child?.kill('SIGKILL');
      if (child) await exited(child);
    },
    async stop() {
      await server.kill();
      rmSync(folder, { recursive: true });
    },
  };
  await server.start();
  return server;
}

/** PostgreSQL refuses to run as root: then it runs as the user postgres. */
export async function startPostgres(programs: string): Promise<TestServer> {
  const folder = socketFolder('pg');
  const data = join(folder, 'data');
  mkdirSync(data);
  const root = process.getuid?.() === 0;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const owner = root ? { uid: id('-u'), gid: id('-g') } : {};
  if (root) for (const place of [folder, data]) chownSync(place, owner.uid!, owner.gid!);
  chmodSync(folder, 0o755);
  const run = (name: string, args: string[]) =>
    spawnSync(join(programs, name), args, { ...owner, cwd: folder, encoding: 'utf8' });
  const made = run('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync']);
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  let child: ChildProcess | undefined;
  const server: TestServer = {
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`,
    async start() {
      rmSync(join(data, 'postmaster.pid'), { force: true });
      const args = ['-D', data, '-k', folder, '-c', 'listen_addresses='];
      child = spawn(join(programs, 'postgres'), args, { ...owner, cwd: folder, stdio: 'ignore' });
      for (let tries = 0; !(await answers(folder)); tries++) {
        if (tries > 300) throw new Error('PostgreSQL does not start');
        await sleep(100);
      }
    },
    async kill() {
      child?.kill('SIGKILL');
      if (child) await exited(child);
      await sleep(300); // its own processes notice
    },
    async stop() {
      child?.kill('SIGQUIT');
      if (child) await exited(child);
      rmSync(folder, { recursive: true });
    },
  };
  await server.start();
  return server;
}

async function answers(socketFolder: string): Promise<boolean> {
  const client = new pg.Client({ host: socketFolder, user: 'postgres', database: 'postgres' });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
