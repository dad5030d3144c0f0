import { extname } from 'node:path';
import { UserError } from '../common/errors.ts';
import { isImageName } from '../data/images/find.ts';
import { isGlob, matchesGlob } from '../data/images/glob.ts';
import { isWithin, realRoot } from './locate.ts';
import type { ManifestRow } from './manifest.ts';
import type { PlannedImages } from './planned-images.ts';
import { s3 } from './s3/s3-client.ts';
import { listObjects } from './s3/s3-objects.ts';
import { isS3, parseS3, s3Folder } from './s3/s3-url.ts';
import { expandRanges } from './tar.ts';

/**
 * The images or tars of a request that names objects and prefixes of a bucket. Prefixes are listed as the rows are asked for, so that
 * nothing of a listing is kept in memory; its order is the store's.
 */
export async function objectsOf(names: readonly string[], given: string | undefined): Promise<PlannedImages> {
  const local = names.find((name) => !isS3(name));
  if (local !== undefined)
    throw new UserError(`${local} lies in no bucket, as others that are named do`, 'Plan each by itself.');
  const urls = names.flatMap(expandRanges);
  const top = realRoot(given ?? rootOf(urls));
  const outside = urls.find((url) => !isWithin(top, s3Folder(url)));
  if (outside !== undefined)
    throw new UserError(
      `${outside} does not lie in ${given === undefined ? 'the bucket of the others' : `--root ${given}`}`,
      'A plan has one bucket: name a prefix that holds all images.',
    );
  const rowOf = (url: string): ManifestRow => ({ path: url, file: url.slice(top.length + 1) });
  const none = { root: top, extra: [], prompts: false };
  if (urls.every((url) => /\.tar$/i.test(url))) {
    await requireObjects(urls);
    return { ...none, unit: 'tar', rows: urls.map(rowOf), leftOut: () => '' };
  }
  const leftOut = new Map<string, number>();
  const leave = (kind: string) => leftOut.set(kind, (leftOut.get(kind) ?? 0) + 1);
  return {
    ...none,
    unit: 'image',
    rows: (async function* () {
      for (const url of urls)
        if (isGlob(url)) for await (const found of matching(url)) yield rowOf(found);
        else if (isImageName(url)) yield rowOf(url);
        else for await (const found of imagesBelow(url, leave)) yield rowOf(found);
    })(),
    leftOut: () =>
      [...leftOut]
        .sort(([, a], [, b]) => b - a)
        .slice(0, 8)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', '),
  };
}

/** Images whose keys a pattern names, as it would files: `*` within a part between slashes, `**` for any number of parts. */
async function* matching(url: string): AsyncGenerator<string> {
  const { bucket, key: pattern } = parseS3(url);
  const parts = pattern.split('/');
  const literal = parts.slice(0, parts.findIndex(isGlob)).join('/');
  let count = 0;
  for await (const key of listObjects(s3, { bucket, key: literal === '' ? '' : `${literal}/` })) {
    // A key may have these characters itself.
    if (!isImageName(key) || !(key === pattern || matchesGlob(pattern, key))) continue;
    count++;
    yield `s3://${bucket}/${key}`;
  }
  if (count === 0) throw new UserError(`no images match ${url}`, 'Quote the pattern, and check the prefix.');
}

/** Images of a prefix: like a folder's, by their extension, without names that begin with a dot. */
async function* imagesBelow(url: string, leave: (kind: string) => void): AsyncGenerator<string> {
  const folder = s3Folder(url);
  const { bucket, key } = parseS3(folder);
  let count = 0;
  for await (const found of listObjects(s3, { bucket, key: key === '' ? '' : `${key}/` })) {
    if (found.endsWith('/')) continue; // what consoles make as a folder
    const names = found.slice(key.length).split('/');
    if (names.some((name) => name.startsWith('.'))) leave('hidden');
    else if (!isImageName(found)) leave(extname(found).toLowerCase() || 'no extension');
    else {
      count++;
      yield `s3://${bucket}/${found}`;
    }
  }
  if (count === 0) throw new UserError(`no images in ${url}`, 'Name a prefix that holds some.');
}

/** The deepest prefix that all lie in. Whatever names no image or tar is a prefix itself. */
function rootOf(urls: readonly string[]): string {
  const folders = urls.map((url) => {
    if (isGlob(url)) return url.slice(0, url.lastIndexOf('/', url.search(/[*?[]/)));
    const folder = s3Folder(url);
    return isImageName(folder) || /\.tar$/i.test(folder) ? folder.slice(0, folder.lastIndexOf('/')) : folder;
  });
  let root = folders[0]!;
  for (const folder of folders)
    while (!isWithin(root, folder)) {
      const above = root.slice(0, root.lastIndexOf('/'));
      if (above === 's3:/') return root; // other buckets are refused where they are compared with it
      root = above;
    }
  return root;
}

/** Refuses names of objects that are not there, by a listing of what begins as all of them do. */
async function requireObjects(urls: readonly string[]): Promise<void> {
  const { bucket } = parseS3(urls[0]!);
  const keys = urls.map((url) => parseS3(url).key);
  let common = keys[0]!;
  for (const key of keys) while (!key.startsWith(common)) common = common.slice(0, -1);
  const missing = new Set(keys);
  for await (const key of listObjects(s3, { bucket, key: common })) {
    missing.delete(key);
    if (missing.size === 0) return;
  }
  throw new UserError(
    `s3://${bucket}/${[...missing][0]}: no such object`,
    'Name tars that are there, such as s3://BUCKET/data-{000..099}.tar.',
  );
}
