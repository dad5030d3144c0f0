import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEvents } from '../event-file.ts';

/** Fields that say how long something took. */
const times = new Set(['seconds', 'imagesPerSecond', 'finished']);

/**
 * What a run leaves, file by file, without what says when and how fast it ran: two runs that come to the same have equal maps.
 * Segments of a feature cache are left out, since nothing says how features are spread over them, and so is where the folder lies.
 */
export function artifactsOf(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  if (!existsSync(folder)) return found;
  const curves: string[] = [];
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const name = entry.replaceAll('\\', '/');
    const path = join(folder, entry);
    if (name.endsWith('.features')) continue;
    const directory = name.slice(0, name.lastIndexOf('/') + 1);
    const file = name.slice(directory.length);
    if (file.startsWith('events.out.tfevents.')) curves.push(`${directory}\n${eventsOf(readFileSync(path))}`);
    else found.set(name, contentOf(path).replaceAll(folder, '.'));
  }
  if (curves.length > 0) found.set('TensorBoard curves', curves.join('\n'));
  return found;
}

function contentOf(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return 'a folder';
    throw error;
  }
  if (path.endsWith('.safetensors')) return safetensorsOf(bytes);
  if (path.endsWith('.json')) return withoutTimes(bytes.toString());
  if (path.endsWith('.jsonl')) return bytes.toString().split('\n').map(withoutTimes).join('\n');
  if (path.endsWith('report.html'))
    return bytes.toString().replaceAll(/\b\d+(\.\d+)? (s|min)\b|\b\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'TIME');
  return bytes.toString('latin1');
}

/** Header and tensors; JSON within the metadata is read too, since records hold seconds. */
function safetensorsOf(bytes: Buffer): string {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...tensors } = JSON.parse(bytes.subarray(8, start).toString());
  const entries = Object.entries(tensors as Record<string, { data_offsets: [number, number] }>);
  const digests = entries.map(
    ([
      name,
      {
        data_offsets: [from, to],
        ...info
      },
    ]) => {
      const data = createHash('sha256').update(bytes.subarray(start + from, start + to));
      // Among them the header's, which holds seconds; whoever reads the file compares them.
      return [name, info, name === '__checksums__' ? to - from : data.digest('hex')];
    },
  );
  const texts = Object.entries(metadata).map(([name, text]) => [name, withoutTimes(text as string)]);
  return JSON.stringify([texts, digests]);
}

function withoutTimes(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text, (key, value) => (times.has(key) ? undefined : value)));
  } catch {
    return text;
  }
}

function eventsOf(file: Buffer): string {
  return parseEvents(file)
    .events.map(({ step, scalars }) => {
      const { 'train/seconds': _, ...rest } = scalars as Record<string, number>;
      return `${step} ${JSON.stringify(rest)}`;
    })
    .join('\n');
}

/** The names of the files that differ, are missing or are too many. */
export function differences(
  found: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): string[] {
  const names = new Set([...found.keys(), ...wanted.keys()]);
  return [...names].flatMap((name) => {
    if (found.get(name) === wanted.get(name)) return [];
    if (!wanted.has(name)) return [`${name} is left over`];
    return [found.has(name) ? `${name} differs` : `${name} is missing`];
  });
}
