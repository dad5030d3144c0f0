import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adapterKey } from '../src/kernels/device/adapter-store.ts';
import { tuned, tunes } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { openList } from '../src/scale/list-reader.ts';
import { commonRoot, locate, realRoot } from '../src/scale/locate.ts';
import { Manifest, type ManifestRow, writeManifest } from '../src/scale/manifest.ts';
import { parsePart } from '../src/scale/partition.ts';
import { type Plan, readPlan, requireIdentity, requireSame, writePlan } from '../src/scale/plan.ts';
import { usePlanVariants, variantsInForce, variantsOfFile } from '../src/scale/plan-variants.ts';
import { missingShards } from '../src/scale/result-names.ts';
import { tables } from '../src/scale/tables.ts';
import { cacheFolder } from './cache-folder.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('shard-plan');
cacheFolder('shard-plan-');

describe('--shard', () => {
  it.each([
    ['0/1', {}, 0, 1],
    ['3/16', {}, 3, 16],
    ['auto', { SLURM_ARRAY_TASK_ID: '5', SLURM_ARRAY_TASK_COUNT: '8' }, 5, 8],
    ['auto', { SLURM_ARRAY_TASK_ID: '5', SLURM_ARRAY_TASK_MIN: '1', SLURM_ARRAY_TASK_COUNT: '8' }, 4, 8],
    [
      'auto',
      {
        SLURM_ARRAY_TASK_ID: '24',
        SLURM_ARRAY_TASK_MIN: '8',
        SLURM_ARRAY_TASK_STEP: '8',
        SLURM_ARRAY_TASK_COUNT: '8',
      },
      2,
      8,
    ],
    ['auto', { JOB_COMPLETION_INDEX: '63', JOB_COMPLETIONS: '64' }, 63, 64],
  ])('%s with %j is part %i of %i', (text, env, part, of) => {
    expect(parsePart(text, env)).toEqual({ part, of });
  });

  it.each([
    ['16/16', {}],
    ['-1/4', {}],
    ['1', {}],
    ['auto', {}],
    ['auto', { JOB_COMPLETION_INDEX: '3' }],
    ['auto', { SLURM_ARRAY_TASK_ID: '9', SLURM_ARRAY_TASK_COUNT: '4' }], // an array with gaps: 1,5,9
    ['auto', { SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_STEP: '2', SLURM_ARRAY_TASK_COUNT: '4' }],
  ])('%s with %j is refused', (text, env) => {
    expect(() => parsePart(text, env)).toThrow(/--shard|there is no part/);
  });
});

const rows = (count: number): ManifestRow[] =>
  Array.from({ length: count }, (_, i) => ({ path: `a/ü ${i}\n.png`, extra: [i, null, 'x,"y'] }));

async function makePlan(name: string, change: Partial<Plan> = {}) {
  const run = join(folder, name);
  mkdirSync(run, { recursive: true });
  const { manifest, rows: count, shards } = await writeManifest(run, rows(10), 4);
  return writePlan(run, {
    version: 1,
    task: 'score',
    request: { batch: 4 },
    settings: {},
    identity: { model: 'ab' },
    variants: {},
    format: 'csv',
    unit: 'image',
    extra: [],
    root: '/',
    manifest,
    rows: count,
    shardSize: 4,
    shards,
    ...change,
  });
}

describe('a plan', () => {
  it('gives each shard its rows', async () => {
    const run = await makePlan('rows');
    const manifest = new Manifest(run.folder, run.plan.manifest, run.plan.shards);
    const read = await Promise.all([0, 1, 2].map((shard) => manifest.read(shard)));
    expect(read.map((one) => one.length)).toEqual([4, 4, 2]);
    expect(read.flat()).toEqual(rows(10));
    expect(missingShards(run)).toEqual([0, 1, 2]);
  });

  it('stays the first one of two', async () => {
    const first = await makePlan('twice');
    const second = await makePlan('twice', { identity: { model: 'cd' } });
    expect(second).toEqual(first);
  });

  it('refuses other settings, other files, and what does not belong to it', async () => {
    const run = await makePlan('other');
    requireSame(run, { batch: 4, pairs: undefined });
    expect(() => requireSame(run, { batch: 8 })).toThrow(/planned with batch 4, not 8/);
    requireIdentity(run, { model: 'ab' });
    expect(() => requireIdentity(run, { model: 'cd' })).toThrow(/plan's model is ab, here it is cd/);
    expect(() => requireIdentity(run, { model: 'ab', numerics: 2 })).toThrow(/plan's numerics is none/);
  });

  it('brings the kernel variants that all workers compute with, from a table or a device, and refuses another adapter', async () => {
    const gpu = await openGpu();
    try {
      expect(variantsInForce(gpu)).toEqual({ variants: {} });
      const rules = await makePlan('rules');
      expect(tunes(gpu, 'always')).toBe(true);
      usePlanVariants(rules, gpu);
      // What a worker would measure by itself could be another choice than the next one's.
      expect(tunes(gpu, 'always')).toBe(false);
      const path = join(folder, 'table.json');
      const measured = { 'matmul/1/8': { variant: 'tile', times: { tile: 1 } } };
      writeFileSync(path, JSON.stringify({ adapter: adapterKey(gpu.adapter), measured }));
      const own = await makePlan('own', await variantsOfFile(path));
      expect(own.plan).toMatchObject({
        variants: { 'matmul/1/8': 'tile' },
        tunedFor: adapterKey(gpu.adapter),
      });
      usePlanVariants(own, gpu);
      expect([...tuned(gpu)].map(([key, { variant }]) => [key, variant])).toEqual([['matmul/1/8', 'tile']]);
      expect(variantsInForce(gpu)).toEqual(await variantsOfFile(path));
      const other = await makePlan('other-adapter', { ...(await variantsOfFile(path)), tunedFor: 'an H200' });
      expect(() => usePlanVariants(other, gpu)).toThrow(/kernels were chosen for an H200, here is /);
      expect(await variantsOfFile(join(folder, 'none.json'))).toEqual({ variants: {} });
      writeFileSync(path, '{}');
      await expect(variantsOfFile(path)).rejects.toThrow(/table\.json.*adapter/);
    } finally {
      gpu.close();
    }
  });

  it.each(['jsonl', 'index'])('notices a changed manifest (%s)', async (extension) => {
    const run = await makePlan(`changed-${extension}`);
    const path = join(run.folder, 'manifest', `${run.plan.manifest.name}.${extension}`);
    const bytes = readFileSync(path);
    bytes[20] = bytes[20]! ^ 1;
    writeFileSync(path, bytes);
    const manifest = new Manifest(run.folder, run.plan.manifest, run.plan.shards);
    await expect(manifest.read(0)).rejects.toThrow(/are not those of plan.json|is not the index/);
  });

  it('is refused where it makes no sense', async () => {
    const run = await makePlan('damaged');
    const path = join(run.folder, 'plan.json');
    const plan = JSON.parse(readFileSync(path, 'utf8'));
    for (const change of [
      { shards: 4 },
      { shardSize: 0 },
      { root: 'relative' },
      { version: 2 },
      { format: '../x' },
    ]) {
      writeFileSync(path, JSON.stringify({ ...plan, ...change }));
      await expect(readPlan(run.folder)).rejects.toThrow(/plan\.json/);
    }
  });
});

describe('rows lead', () => {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'in'), { recursive: true });
  writeFileSync(join(folder, 'secret.png'), '');
  writeFileSync(join(root, 'in', 'a.png'), '');
  symlinkSync(join(folder, 'secret.png'), join(root, 'out.png'));
  symlinkSync(folder, join(root, 'up'));
  symlinkSync(join(root, 'in'), join(root, 'inner'));

  it.each(['in/a.png', 'inner/a.png', 'in/../in/a.png', 'not there.png', '..png'])(
    'to %s below the root',
    (path) => {
      expect(locate(realRoot(root), { path })).toHaveProperty('file');
    },
  );

  it.each(['../secret.png', 'in/../../secret.png', 'out.png', 'up/secret.png', '/etc/passwd', 'a\0b', '..'])(
    'not to %j outside of it',
    (path) => {
      expect(locate(realRoot(root), { path })).toEqual({ error: expect.stringContaining('leads out') });
      expect(locate(realRoot(root), { path: 'in/a.png', file: path })).toHaveProperty('error');
    },
  );

  it('nowhere but below a root that is made to hold them all', () => {
    const paths = [join(root, 'in', 'a.png'), join(root, 'out.png')];
    const { root: common, files } = commonRoot(paths, paths.map(realRoot));
    expect(common).toBe(realRoot(folder));
    for (const [i, file] of files.entries())
      expect(locate(common, { path: paths[i]!, file })).toHaveProperty('file');
  });
});

describe('tables', () => {
  const columns = [
    { name: 'path', type: 'string' },
    { name: 'score', type: 'double' },
    { name: 'error', type: 'string' },
  ] as const;
  const cells = [
    ['=a,"b"\n.png', 0.1 + 0.2, null],
    ['ü.png', -1e-300, null],
    ['c', null, 'c: is not there'],
  ];

  it.each(['csv', 'jsonl', 'parquet'] as const)(
    '%s keeps every bit and gives the same bytes again',
    async (name) => {
      const bytes = await tables[name].encode(columns, cells);
      const found = await tables[name].decode(columns, bytes, name);
      expect(found.map((row) => row.map((cell) => cell || null))).toEqual(cells);
      expect(await tables[name].encode(columns, cells)).toEqual(bytes);
    },
  );

  it('lists are read in each of their forms', async () => {
    const csv = join(folder, 'list.csv');
    writeFileSync(csv, '\ufeffpath,seed\na.png,1\n"\'=b.png",2\n');
    const jsonl = join(folder, 'list.jsonl');
    writeFileSync(jsonl, '{"path":"a.png","seed":1}\n\n{"path":"=b.png","seed":2}\n');
    const txt = join(folder, 'list.txt');
    writeFileSync(txt, 'a.png\r\n=b.png\r\n');
    const parquet = join(folder, 'list.parquet');
    writeFileSync(
      parquet,
      await tables.parquet.encode(
        [columns[0], { name: 'seed', type: 'double' }],
        [
          ['a.png', 1],
          ['=b.png', 2],
        ],
      ),
    );
    const read = async (path: string) => {
      const list = await openList(path);
      const all: unknown[] = [];
      for await (const row of list.rows()) all.push({ ...row });
      return { columns: list.columns.map(({ name, type }) => `${name} ${type}`), rows: all };
    };
    const numbers = [
      { path: 'a.png', seed: 1 },
      { path: '=b.png', seed: 2 },
    ];
    expect(await read(csv)).toEqual({
      columns: ['path string', 'seed string'],
      rows: numbers.map((row) => ({ ...row, seed: String(row.seed) })),
    });
    expect(await read(jsonl)).toEqual({ columns: ['path string', 'seed double'], rows: numbers });
    expect(await read(parquet)).toEqual({ columns: ['path string', 'seed double'], rows: numbers });
    expect(await read(txt)).toEqual({
      columns: ['path string'],
      rows: [{ path: 'a.png' }, { path: '=b.png' }],
    });
  });
});
