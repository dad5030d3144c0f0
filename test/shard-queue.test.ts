import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  postgresPrograms,
  type QueueServerProcess,
  redisProgram,
  startPostgres,
  startRedis,
} from '../scripts/queue-servers.mjs';
import { readPlan } from '../src/scale/plan.ts';
import { openQueueServer, queueUrl } from '../src/scale/queue/connection.ts';
import { handOut, isEmpty } from '../src/scale/queue/hand-out.ts';
import { takeShards } from '../src/scale/queue/take.ts';
import { missingShards } from '../src/scale/result-names.ts';
import { runBuilt } from './built-command.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { merged, work } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('shard-queue');
const images = join(folder, 'images');
const model = join(folder, 'model.safetensors');
let plain = '';

beforeAll(async () => {
  const [first] = await drawImages(images, 19);
  copyFileSync(first!, join(images, 'killer.png'));
  await writeModel(model, resolve('test/fixtures/tiny-clip.json'));
  plain = runBuilt('score', [images, '--model', model, '--csv', '-']).stdout;
});

/** A run of 5 shards of 4 images. */
function plan(name: string): string {
  const out = join(folder, name);
  const args = [images, '--model', model, '--out', out, '--shard-size', '4', '--plan-only'];
  expect(runBuilt('score', args).status).toBe(0);
  return out;
}

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

function start(name: string, args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [`dist/${name}.js`, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const started = { child, text: '', ended: new Promise<number | null>((done) => child.on('close', done)) };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (started.text += data));
  return started;
}

// With CI set a server that is missing fails its tests.
const inCi = process.env.CI !== undefined;
const [hasRedis, hasPostgres] = [redisProgram, postgresPrograms].map((place) => inCi || place !== undefined);

describe.each([
  ['redis', startRedis, hasRedis, 'apt install redis-server, brew install valkey'],
  ['postgres', startPostgres, hasPostgres, 'apt install postgresql'],
] as const)('%s', (kind, begin, wanted, install) => {
  let server: QueueServerProcess;
  beforeAll(async () => {
    if (wanted) server = await begin();
  });
  afterAll(async () => {
    await server?.stop();
  });

  it.runIf(wanted)(
    `workers that an image ends, a killed server and a double submission come to the bytes of one process${wanted ? '' : ` (skipped: ${install})`}`,
    async () => {
      const out = plan(kind);
      const env = { QUEUE_URL: server.url };
      // Handed out twice: by a process that does not wait, and by one that does.
      const once = runBuilt('score', ['--out', out, '--queue', '--detach'], {
        env: { ...process.env, ...env },
      });
      expect(once.stderr).toMatch(/5 of 5 shards handed out/);
      const waiting = start('score', ['--out', out, '--queue'], env);
      const preload = pathToFileURL(resolve('test/fixtures/ends-the-decoder.mjs')).href;
      const args = ['--root', folder, '--lock-seconds', '3'];
      const worker = () => start('worker', args, { ...env, NODE_OPTIONS: `--import ${preload}` });
      let deaths = 0;
      let current = worker();
      const second = current;
      let over = false;
      const keep = async () => {
        while (!over) {
          await current.ended;
          if (over) return;
          deaths++;
          if (deaths === 1) {
            await server.kill();
            await server.start();
          }
          current = worker();
        }
      };
      const kept = keep();
      expect(await waiting.ended).toBe(0);
      over = true;
      current.child.kill('SIGTERM');
      await kept;
      expect(second.text).not.toMatch(/Error/);
      expect(deaths).toBe(2);
      const lines = (await merged(out)).split('\n');
      const poison = lines.findIndex((line) => line.includes('killer'));
      expect(lines[poison]).toMatch(
        /killer\.png,,.*killer\.png: ends the process that decodes it \(SIGKILL\)$/,
      );
      expect(lines.toSpliced(poison, 1)).toEqual(plain.split('\n').toSpliced(poison, 1));
    },
    120_000,
  );
});

describe('a queue', () => {
  let server: QueueServerProcess;
  beforeAll(async () => {
    if (hasRedis) server = await startRedis();
  });
  afterAll(async () => {
    await server?.stop();
  });
  const open = () => openQueueServer(new URL(server.url), () => {});

  it.runIf(hasRedis)('has each shard once, and again what was lost', async () => {
    const run = await readPlan(plan('once'));
    const connection = await open();
    const queue = connection.queue();
    for (let i = 0; i < 3; i++) await handOut(queue, run);
    expect(await queue.getJobCountByTypes('waiting')).toBe(5);
    const [job] = await queue.getWaiting(0, 0);
    expect(Object.keys(job!.data).sort()).toEqual(['plan', 'shard']);
    await queue.obliterate({ force: true });
    expect(await isEmpty(queue)).toBe(true);
    await work(run.folder, { part: { part: 0, of: 2 } });
    expect(await handOut(queue, run)).toBe(2);
    expect(await queue.getJobCountByTypes('waiting')).toBe(2);
    await queue.obliterate({ force: true });
    await connection.close();
  });

  it.runIf(hasRedis)('gives a shard back when told to stop, and takes nothing but shards', async () => {
    const run = await readPlan(plan('back'));
    const connection = await open();
    const queue = connection.queue();
    await queue.add('shard', { plan: '../../etc/passwd', shard: 0 });
    await queue.add('shard', { plan: run.digest, shard: -1 });
    await handOut(queue, run);
    const controller = new AbortController();
    const computed: number[] = [];
    await takeShards(connection, {
      signal: controller.signal,
      drain: false,
      lockSeconds: 30,
      report: () => {},
      async compute({ shard }) {
        computed.push(shard);
        controller.abort();
        return { outcome: 'stopped', rows: [], seconds: 0, published: 0 };
      },
    });
    expect(computed).toHaveLength(1);
    expect(await queue.getJobCounts('waiting', 'failed', 'active')).toEqual({
      waiting: 5,
      failed: 2,
      active: 0,
    });
    const again = (await queue.getWaiting()).find(({ data }) => data.shard === computed[0]);
    expect(again?.attemptsMade).toBe(0);
    await queue.obliterate({ force: true });
    await connection.close();
  });

  it.runIf(hasRedis)('stops a worker that has lost its lock', async () => {
    const run = await readPlan(plan('lock'));
    const connection = await open();
    const queue = connection.queue();
    await handOut(queue, { ...run, plan: { ...run.plan, shards: 1 } });
    const controller = new AbortController();
    const told: string[] = [];
    let aborted = false;
    await takeShards(connection, {
      signal: controller.signal,
      drain: false,
      lockSeconds: 1,
      report: (text) => told.push(text),
      async compute(_, { signal }) {
        // The lock goes, as if another had it.
        const client = new Redis(new URL(server.url).pathname);
        for (const key of await client.keys('*:lock')) await client.del(key);
        client.disconnect();
        await new Promise<void>((done) => signal.addEventListener('abort', () => done()));
        aborted = true;
        controller.abort();
        return { outcome: 'stopped', rows: [], seconds: 0, published: 0 };
      },
    });
    expect(aborted).toBe(true);
    await queue.obliterate({ force: true }).catch(() => {});
    await connection.close();
  });

  it.runIf(hasRedis)('works for a user who may do nothing else (docs/scale.md)', async () => {
    const rule = /ACL SETUSER worker on >PASSWORD (.*)/.exec(readFileSync('docs/scale.md', 'utf8'))?.[1];
    const limited = await startRedis(['--user', 'worker', 'on', '>secret', ...rule!.split(' ')]);
    try {
      const url = new URL(limited.url.replace('redis+unix://', 'redis+unix://worker:secret@localhost'));
      const told: string[] = [];
      const run = await readPlan(plan('acl'));
      const connection = await openQueueServer(url, (text) => told.push(text));
      const queue = connection.queue();
      await handOut(queue, run);
      const taken: number[] = [];
      await takeShards(connection, {
        signal: new AbortController().signal,
        drain: true,
        lockSeconds: 30,
        report: () => {},
        async compute({ shard }) {
          taken.push(shard);
          return { outcome: 'already', rows: [], seconds: 0, published: 0 };
        },
      });
      expect(taken.sort()).toEqual([0, 1, 2, 3, 4]);
      expect(told).toEqual([]);
      const client = new Redis(url.pathname, { username: 'worker', password: 'secret' });
      for (const command of [
        ['flushall'],
        ['get', 'other'],
        ['keys', '*'],
        ['config', 'get', '*'],
        ['eval', "return redis.call('get','x')", '0'],
      ])
        await expect(client.call(command[0]!, ...command.slice(1)), command[0]).rejects.toThrow(
          /NOPERM|can't access/,
        );
      client.disconnect();
      await connection.close();
    } finally {
      await limited.stop();
    }
  });
});

it.runIf(hasRedis)(
  'a server with TLS has to have a certificate of an authority that is known, for its host',
  async () => {
    const place = (name: string) => join(folder, name);
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
    const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', place(`${name}.key`)];
    openssl(
      'req',
      '-x509',
      ...key('ca'),
      '-subj',
      '/CN=Test authority',
      '-days',
      '2',
      '-out',
      place('ca.pem'),
    );
    openssl('req', ...key('server'), '-subj', '/CN=localhost', '-out', place('server.csr'));
    writeFileSync(place('names'), 'subjectAltName=DNS:localhost\n');
    const signed = ['-CA', place('ca.pem'), '-CAkey', place('ca.key'), '-CAcreateserial', '-days', '2'];
    openssl(
      'x509',
      '-req',
      '-in',
      place('server.csr'),
      ...signed,
      '-extfile',
      place('names'),
      '-out',
      place('server.pem'),
    );
    const port = await freePort();
    const server = await startRedis([
      ...['--tls-port', `${port}`, '--tls-auth-clients', 'no', '--tls-ca-cert-file', place('ca.pem')],
      ...['--tls-cert-file', place('server.pem'), '--tls-key-file', place('server.key')],
    ]);
    try {
      const args = ['--out', plan('tls'), '--queue', '--detach'];
      const known = { NODE_EXTRA_CA_CERTS: place('ca.pem') };
      const env = { ...process.env, ...known, QUEUE_URL: `rediss://localhost:${port}` };
      expect(runBuilt('score', args, { env }).stderr).toMatch(
        /5 of 5 shards handed out by rediss:\/\/localhost/,
      );
      const refused = [
        start('score', args, { QUEUE_URL: `rediss://localhost:${port}` }),
        start('score', args, { ...known, QUEUE_URL: `rediss://127.0.0.1:${port}` }),
      ];
      const said = (at: number, words: RegExp) =>
        vi.waitFor(() => expect(refused[at]!.text).toMatch(words), 30_000);
      await said(0, /queue +.*certificate/);
      await said(1, /queue +.*IP: 127\.0\.0\.1 is not in the cert's list/);
    } finally {
      await server.stop();
    }
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the address of a queue', () => {
  it('comes from the environment where it holds a password', () => {
    expect(queueUrl(true, { QUEUE_URL: 'rediss://u:p@host' }).password).toBe('p');
    expect(queueUrl('redis://host:1', { QUEUE_URL: 'redis://other' }).host).toBe('host:1');
    expect(() => queueUrl('redis://:secret@host', {})).toThrow(/can be read by everyone/);
    try {
      queueUrl('redis://:secret@host', {});
    } catch (error) {
      expect((error as Error).message).not.toContain('secret');
    }
    expect(() => queueUrl(undefined, {})).toThrow(/no queue is named/);
    expect(() => queueUrl('http://host', {})).toThrow(/is no URL of a kind/);
  });
});

it.runIf(hasRedis)('a worker refuses runs and images outside of its roots', async () => {
  const server = await startRedis();
  try {
    const inner = join(folder, 'inner');
    mkdirSync(inner);
    writeFileSync(join(inner, 'note'), '');
    const out = plan('inner/run');
    const env = { ...process.env, QUEUE_URL: server.url };
    runBuilt('score', ['--out', out, '--queue', '--detach'], { env });
    const { stderr } = runBuilt('worker', ['--root', inner, '--drain'], { env });
    expect(stderr).toMatch(/the images of .*run lie in .*images, outside of/);
    expect(missingShards(await readPlan(out))).toHaveLength(5);
  } finally {
    await server.stop();
  }
});
