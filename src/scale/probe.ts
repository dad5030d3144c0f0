import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { UserError } from '../common/errors.ts';
import { limit } from '../common/limits.ts';
import type { ImageJob } from '../data/images/prepare.ts';
import type { ShardImage } from './task.ts';

/**
 * Decodes each image in another process first, and gives the reasons of those that end it: such an image costs its row, and not the
 * shard. For a shard that has ended processes before; it takes as long as decoding does.
 */
export async function probeImages(images: readonly ShardImage[]): Promise<ReadonlyMap<number, string>> {
  const errors = new Map<number, string>();
  let child: ChildProcess | undefined;
  for (const { index, file, name, bytes } of images) {
    child ??= await start();
    const ended = await decode(child, { path: file, ...(bytes && { image: bytes }) });
    if (ended === undefined) continue;
    errors.set(index, `${name}: ends the process that decodes it (${ended})`);
    child = undefined;
  }
  child?.disconnect();
  return errors;
}

/** What goes to that process. */
export type ProbedImage = Pick<ImageJob, 'path' | 'image'>;

async function start(): Promise<ChildProcess> {
  const bundled = !import.meta.url.endsWith('.ts');
  const file = new URL(bundled ? './decode-probe.js' : '../../dist/decode-probe.js', import.meta.url);
  if (!existsSync(file)) throw new UserError('dist/decode-probe.js is missing', 'Build it: npm run build.');
  const child = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  const reason = await answer(child);
  if (reason !== undefined) throw new Error(`the process that decodes did not start (${reason})`);
  return child;
}

async function decode(child: ChildProcess, image: ProbedImage): Promise<string | undefined> {
  const answered = answer(child);
  child.send(image, () => {}); // one that has ended says so by its exit
  const timer = setTimeout(() => child.kill('SIGKILL'), 1500 * limit('imageSeconds'));
  return answered.finally(() => clearTimeout(timer));
}

/** Resolves to undefined with the next message, or to what ended the process. */
function answer(child: ChildProcess): Promise<string | undefined> {
  return new Promise((done) => {
    const message = () => settle(undefined);
    const exit = (code: number | null, signal: string | null) => settle(signal ?? `status ${code}`);
    const settle = (reason: string | undefined) => {
      child.off('message', message);
      child.off('exit', exit);
      done(reason);
    };
    child.on('message', message);
    child.on('exit', exit);
  });
}
