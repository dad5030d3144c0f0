import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { planRun } from '../src/cli/shard-run.ts';
import { imagesWithin } from '../src/scale/find-plans.ts';
import { imagesOf } from '../src/scale/images-of.ts';
import { isWithin, locate, realRoot } from '../src/scale/locate.ts';
import type { ManifestRow } from '../src/scale/manifest.ts';
import type { PlannedRun } from '../src/scale/plan.ts';
import { fetchAhead } from '../src/scale/s3/fetch-ahead.ts';
import { S3, s3 } from '../src/scale/s3/s3-client.ts';
import { listObjects, objectStream, readObject } from '../src/scale/s3/s3-objects.ts';
import { parseS3 } from '../src/scale/s3/s3-url.ts';
import { partsOf } from '../src/scale/shard-parts.ts';
import { tables } from '../src/scale/tables.ts';
import { runBuilt } from './built-command.ts';
import { refuse, type S3Server, startS3 } from './s3-server.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { merged, work } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('shard-s3');
const images = join(folder, 'images');
const model = join(folder, 'model.safetensors');
const weights = resolve('test/fixtures/tiny-clip.json');
let store: S3Server;
/** The scores of the files. */
let plain = '';

beforeAll(async () => {
  await drawImages(images, 6);
  writeFileSync(join(images, 'torn.png'), 'no image');
  await writeModel(model, weights);
  const { stdout } = runBuilt('score', [images, '--model', model, '--csv', '-']);
  plain = stdout.replaceAll(`${images}/`, '');
});
beforeEach(async () => {
  store = await startS3();
  for (const [name, value] of Object.entries(store.env)) vi.stubEnv(name, value);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await store.stop();
});

/** Keys that a signature and a URL have trouble with. */
const odd = ['a b.png', 'ü+%41&=?#.png', "it's (1)!*~.png", 'deep//empty/x.png', '%2e%2e/up.png'];

const put = (bucket: string, key: string, bytes: Buffer | string) =>
  store.objects.set(`${bucket}/${key}`, Buffer.from(bytes));
const putImages = (prefix: string) => {
  for (const name of readdirSync(images))
    put('pictures', `${prefix}${name}`, readFileSync(join(images, name)));
};
const all = async <T>(from: AsyncIterable<T> | Iterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const one of from) found.push(one);
  return found;
};

/** An answer that says it has all of these bytes, and ends after some. */
function breakOff(response: ServerResponse, etag: string, bytes: Buffer, after: number): true {
  response.writeHead(response.req.headers.range ? 206 : 200, { etag, 'content-length': bytes.length });
  response.write(bytes.subarray(0, after));
  response.socket?.end();
  return true;
}

/** A plan of `score` for what is in the store. */
const plan = (name: string, request: Partial<Parameters<typeof imagesOf>[0]>, shardSize?: number) =>
  planRun(
    join(folder, name),
    { planOnly: true, ...(shardSize && { shardSize }) },
    {
      task: 'score',
      images: { images: [], ...request },
      given: {},
      places: { model },
      settings: async () => ({ model, batch: 8 }),
    },
  );

describe('requests', () => {
  it('are signed for every key, and for every page of a listing', async () => {
    store.pageKeys = 2;
    for (const key of odd) put('pictures', key, key);
    put('other', 'a b.png', 'not of this bucket');
    const keys = await all(listObjects(s3, parseS3('s3://pictures')));
    expect(keys).toEqual([...odd].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    expect(store.requests).toHaveLength(3);
    for (const key of odd)
      expect(Buffer.from(await readObject(s3, { bucket: 'pictures', key }, 'imageBytes')).toString()).toBe(
        key,
      );
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    await expect(readObject(new S3(), parseS3('s3://pictures/a b.png'), 'imageBytes')).rejects.toThrow(
      's3://pictures/a b.png: SignatureDoesNotMatch (HTTP 403)',
    );
    vi.stubEnv('AWS_ACCESS_KEY_ID', '');
    await expect(readObject(new S3(), parseS3('s3://pictures/a b.png'), 'imageBytes')).rejects.toThrow(
      /AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set/,
    );
  });

  it('are tried again while a store is overloaded, silent, or breaks off, which loses no byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
    put('pictures', 'big', bytes);
    const troubles = ['503', 'silence', 'half', '429', 'none'];
    store.intervene = (_, response) => {
      const trouble = troubles.shift();
      if (trouble === '503') return refuse(response, 503, 'SlowDown');
      if (trouble === '429') return refuse(response, 429, 'TooManyRequests');
      if (trouble === 'silence') return true;
      if (trouble !== 'half') return false;
      return breakOff(response, '"of another object"', bytes, 100_000);
    };
    const client = new S3(process.env, { firstDelay: 1, idle: 500 });
    // The answer that goes on is of another object than the one that broke off.
    await expect(readObject(client, parseS3('s3://pictures/big'), 'imageBytes')).rejects.toThrow(
      's3://pictures/big: PreconditionFailed (HTTP 412)',
    );
    expect(store.requests.filter((one) => / bytes=100000-$/.test(one))).toHaveLength(2);
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
    let calls = 0;
    store.intervene = (request, response) => {
      if (++calls > 3) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? '0'));
      return breakOff(response, etag, bytes.subarray(from), 50_000);
    };
    const read = await all(objectStream(client, parseS3('s3://pictures/big')));
    expect(Buffer.concat(read as Buffer[]).equals(bytes)).toBe(true);
    expect(store.requests.filter((one) => / bytes=(50|100|150)000-$/.test(one))).toHaveLength(5);
    store.intervene = (_, response) => refuse(response, 500, 'InternalError');
    const before = store.requests.length;
    await expect(readObject(client, parseS3('s3://pictures/big'), 'imageBytes')).rejects.toThrow(
      /InternalError/,
    );
    expect(store.requests.length - before).toBe(6);
  });

  it('go nowhere but to the endpoint', async () => {
    store.intervene = (_, response) => {
      response.writeHead(301, { location: 'http://127.0.0.1:1/', 'x-amz-bucket-region': 'us-west-2' }).end();
      return true;
    };
    await expect(readObject(s3, parseS3('s3://pictures/a'), 'imageBytes')).rejects.toMatchObject({
      message: 's3://pictures/a: HTTP status 301',
      advice: expect.stringContaining('AWS_REGION=us-west-2'),
    });
    for (const url of ['s3://b', 's3:///key', 's3://../key', 's3://bucket/a/../b', 's3://bucket/.'])
      expect(() => parseS3(url), url).toThrow(/is no s3:|has a segment/);
  });
});

describe('objects are fetched ahead', () => {
  it('so many at once, in order, with so many bytes held', async () => {
    const sizes = Array.from({ length: 40 }, (_, i) => (i === 20 ? 100 : 1 + (i % 4)));
    let [held, most, now, mostNow] = [0, 0, 0, 0];
    const got: number[] = [];
    const fetched = fetchAhead(
      sizes,
      async (size, { admit }) => {
        mostNow = Math.max(mostNow, ++now);
        await new Promise((done) => setTimeout(done, Math.random() * 4));
        await admit(size);
        most = Math.max(most, (held += size) - (size === 100 ? 100 : 0));
        now--;
        return size;
      },
      { requests: 5, objects: 12, bytes: 10 },
    );
    for await (const size of fetched) {
      got.push(size);
      held -= size;
    }
    expect(got).toEqual(sizes);
    expect(mostNow).toBe(5);
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(14); // 10, and the one that is waited for
  });

  it('until the caller stops', async () => {
    const controller = new AbortController();
    const aborted: unknown[] = [];
    const fetched = fetchAhead(
      [1, 2, 3],
      (_, { signal }) =>
        new Promise<number>((_, reject) =>
          signal.addEventListener('abort', () => reject(aborted.push(signal.reason) && signal.reason)),
        ),
      { requests: 2, objects: 8, bytes: 10, signal: controller.signal },
    );
    const next = fetched.next();
    controller.abort();
    await expect(next).rejects.toBe(controller.signal.reason);
    expect(aborted).toHaveLength(2);
  });
});

describe('rows', () => {
  it('lead to the bucket and prefix of the plan alone', async () => {
    const root = realRoot('s3://pictures/set/');
    const place = (path: string) => locate(root, { path });
    expect(place('a/b.png')).toEqual({ file: 's3://pictures/set/a/b.png' });
    expect(place('s3://pictures/set/b.png')).toEqual({ file: 's3://pictures/set/b.png' });
    for (const path of [
      '../b.png',
      'a/../../b.png',
      '/b.png',
      's3://pictures/setting/b.png',
      's3://other/b.png',
      'a\0b',
    ])
      expect(place(path), path).toEqual({ error: expect.stringContaining('leads out') });
    expect(locate('/data', { path: 's3://pictures/b.png' })).toEqual({ file: '/data/s3:/pictures/b.png' });
    expect(isWithin('/', 's3://pictures')).toBe(false);
    expect(isWithin('s3://pictures', '/data')).toBe(false);
    const run = { plan: { root: 's3://pictures/set' } } as PlannedRun;
    expect(imagesWithin(['/', 's3://picture', 's3://pictures/set/part'], run)).toBe(false);
    expect(imagesWithin(['/data', 's3://pictures/'], run)).toBe(true);
  });

  it('that have no image say why; what is no fault of theirs ends the shard', async () => {
    vi.stubEnv('CLIP_AGIQA_LIMITS', 'imageBytes=100');
    put('pictures', 'good.png', 'x'.repeat(100));
    put('pictures', 'large.png', 'x'.repeat(101));
    put('pictures', 'withheld.png', '');
    store.intervene = (_, response, path) =>
      path.endsWith('withheld.png') && refuse(response, 403, 'AccessDenied');
    const parts = (rows: readonly ManifestRow[]) => all(partsOf(rows, 's3://pictures', { unit: 'image' }));
    const names = ['good.png', 'gone.png', 'large.png', '../up.png', 'withheld.png'];
    const [part] = await parts(names.map((path) => ({ path })));
    expect(part!.images).toMatchObject([{ index: 0, name: 'good.png' }]);
    expect([...part!.errors]).toEqual([
      [1, 'gone.png: NoSuchKey (HTTP 404)'],
      [2, 'large.png: has 101 bytes, more than the limit of 100'],
      [3, '../up.png: leads out of the folder of images'],
      [4, 'withheld.png: AccessDenied (HTTP 403)'],
    ]);
    await expect(parts([{ path: 'withheld.png' }])).rejects.toThrow(/AccessDenied/);
    store.intervene = (_, response) => refuse(response, 400, 'ExpiredToken');
    await expect(parts(names.map((path) => ({ path })))).rejects.toThrow(/ExpiredToken/);
  });

  it('come in parts, each with what is theirs', async () => {
    const rows = Array.from({ length: 600 }, (_, i) => ({ path: `${i}.png`, prompt: `p${i}` }));
    for (const { path } of rows.filter((_, i) => i % 7 > 0)) put('pictures', path, path);
    // Long enough for a loaded machine to have all of them under way.
    store.delay = 30;
    const parts = await all(partsOf(rows, 's3://pictures', { unit: 'image' }));
    expect(parts.map((part) => part.rows.length)).toEqual([256, 256, 88]);
    expect(parts.flatMap((part) => part.rows)).toEqual(rows);
    for (const part of parts)
      for (const [i, row] of part.rows.entries()) {
        const image = part.images.find(({ index }) => index === i);
        if (image) expect([String(image.bytes), image.prompt]).toEqual([row.path, row.prompt]);
        else expect(part.errors.get(i)).toMatch(new RegExp(`^${row.path}: NoSuchKey`));
      }
    expect(store.busy.most).toBe(32);
  });
});

describe('a run', () => {
  it('of a listed prefix merges to the scores of the files', async () => {
    putImages('set one/');
    put('pictures', 'set one/notes.txt', '');
    put('pictures', 'set one/.hidden.png', '');
    put('pictures', 'set one/', '');
    put('pictures', 'set two/000.png', '');
    store.pageKeys = 3;
    const found = await imagesOf({ images: ['s3://pictures/set one/'] });
    expect(await all(found.rows)).toHaveLength(7);
    expect(found.leftOut()).toBe('hidden 1, .txt 1');
    put('pictures', 'set one/deep/er/000.png', '');
    const globbed = async (pattern: string) => {
      const { rows, root } = await imagesOf({ images: [`s3://pictures/${pattern}`] });
      return [root, ...(await all(rows)).map(({ path }) => path.replace('s3://pictures/', ''))];
    };
    expect(await globbed('set one/00[0-2].png')).toEqual([
      's3://pictures/set one',
      ...['0', '1', '2'].map((i) => `set one/00${i}.png`),
    ]);
    expect(await globbed('**/000.png')).toEqual([
      's3://pictures',
      ...['set one/000.png', 'set one/deep/er/000.png', 'set two/000.png'],
    ]);
    expect(await globbed('set one/*/*/???.png')).toHaveLength(2);
    await expect(globbed('set one/*.jpg')).rejects.toThrow(/no images match/);
    store.objects.delete('pictures/set one/deep/er/000.png');
    const run = await plan('listed', { images: ['s3://pictures/set one'] }, 3);
    expect(run.plan).toMatchObject({ root: 's3://pictures/set one', rows: 7, shards: 3 });
    let failures = 0;
    store.intervene = (_, response) => failures++ % 3 === 0 && refuse(response, 503, 'SlowDown');
    await work(run.folder);
    expect((await merged(run.folder)).replaceAll('s3://pictures/set one/', '')).toBe(plain);
  });

  it('of a list in a bucket carries its columns, and reads nothing of another bucket', async () => {
    putImages('set/');
    put('other', '000.png', readFileSync(join(images, '000.png')));
    const rows = [
      ['000.png', 'x'],
      ['s3://pictures/set/001.png', 'y'],
      ['s3://other/000.png', 'z'],
    ] as const;
    const columns = [
      { name: 'path', type: 'string' },
      { name: 'kind', type: 'string' },
    ] as const;
    for (const kind of ['csv', 'jsonl', 'parquet'] as const) {
      put('pictures', `set/list.${kind}`, Buffer.from(await tables[kind].encode(columns, rows)));
      const found = await imagesOf({ images: [], list: `s3://pictures/set/list.${kind}` });
      expect(await all(found.rows)).toEqual(rows.map(([path, extra]) => ({ path, extra: [extra] })));
      expect(found.root).toBe('s3://pictures/set');
    }
    put('pictures', 'set/list.txt', `\ufeff${rows.map(([path]) => path).join('\r\n')}`);
    const text = await imagesOf({ images: [], list: 's3://pictures/set/list.txt' });
    expect(await all(text.rows)).toEqual(rows.map(([path]) => ({ path })));
    await expect(imagesOf({ images: [], list: 's3://pictures/set/none.jsonl' })).rejects.toThrow(/NoSuchKey/);
    const run = await plan('list', { list: 's3://pictures/set/list.csv' });
    await work(run.folder);
    const lines = (await merged(run.folder)).trim().split('\n');
    const score = (name: string) => new RegExp(`^${name},([^,]+),`, 'm').exec(plain)![1];
    expect(lines.slice(1)).toEqual([
      `000.png,${score('000.png')},x,`,
      `s3://pictures/set/001.png,${score('001.png')},y,`,
      's3://other/000.png,,z,s3://other/000.png: leads out of the folder of images',
    ]);
    expect(store.requests.some((one) => one.startsWith('GET /other/'))).toBe(false);
  });

  it('of tars with ranges in braces, one of which breaks off once', async () => {
    for (const [name, members] of Object.entries({ '08': ['003.png', 'torn.png'], '09': ['000.png'] })) {
      const tar = execFileSync('tar', ['-cf', '-', '-C', images, ...members]);
      put('pictures', `data-${name}.tar`, tar);
    }
    let broken = false;
    const breaksOnce: typeof store.intervene = (_, response, path) => {
      if (broken || !path.endsWith('08.tar')) return false;
      broken = true;
      response.writeHead(200, { 'content-length': 10_240 });
      response.write(Buffer.alloc(0), () => setTimeout(() => response.destroy(), 10));
      return true;
    };
    await expect(imagesOf({ images: ['s3://pictures/data-{08..10}.tar'] })).rejects.toThrow(
      's3://pictures/data-10.tar: no such object',
    );
    store.intervene = () => true; // silence
    const controller = new AbortController();
    const parts = partsOf([{ path: 'data-08.tar' }], 's3://pictures', { unit: 'tar' }, controller.signal);
    const next = parts.next();
    await vi.waitFor(() => expect(store.requests.at(-1)).toBe('GET /pictures/data-08.tar'));
    controller.abort();
    await expect(next).rejects.toBe(controller.signal.reason);
    store.intervene = breaksOnce;
    const run = await plan('tars', { images: ['s3://pictures/data-{08..09}.tar'] });
    await work(run.folder);
    const line = (name: string) => plain.split('\n').find((one) => one.startsWith(name));
    expect(await merged(run.folder)).toBe(
      `${['path,score,error', line('003'), line('torn'), line('000')].join('\n')}\n`,
    );
  });

  it('is what several buckets, and commands without --out, are refused for', async () => {
    for (const [names, error] of [
      [['s3://pictures/a.png', 'b.png'], /b\.png lies in no bucket/],
      [['s3://pictures/a.png', 's3://other/b.png'], /does not lie in the bucket of the others/],
      [['s3://pictures/empty/'], /no images in/],
    ] as const)
      await expect(imagesOf({ images: names }).then(({ rows }) => all(rows))).rejects.toThrow(error);
    await expect(imagesOf({ images: ['s3://pictures/a.png'], root: 's3://pictures/set' })).rejects.toThrow(
      /does not lie in --root/,
    );
    expect(runBuilt('score', ['s3://pictures/a.png']).stderr).toMatch(/s3:\/\/ needs a plan of shards/);
  });
});
