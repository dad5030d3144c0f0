/** The worker thread of `ImageLoader`: the jobs of a file come in, their images go out, without a copy of the pixels. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  type ImageJob,
  type KnownImage,
  type PreparedImage,
  type PrepareTimes,
  prepareFile,
} from './prepare.ts';

/** What a thread is started with. `began` becomes 1 once it takes jobs: a message would come too late from one that ends at once. */
export interface WorkerStart {
  readonly began: Int32Array;
}

/** The jobs of one file, and whether its hash is wanted; or the answer to what was asked about it. */
export type WorkerRequest =
  | { readonly id: number; readonly jobs: readonly [ImageJob, ...ImageJob[]]; readonly hashed: boolean }
  | { readonly id: number; readonly admitted: true }
  | { readonly id: number; readonly wanted: readonly boolean[] };

/** `bug` is what was thrown beside errors of the image itself. */
export type WorkerReply =
  /** The thread has begun, and takes jobs. */
  | { readonly kind: 'ready' }
  /** The file has this hash: which of its jobs are wanted? */
  | { readonly kind: 'hash'; readonly id: number; readonly hash: string }
  /** The image of this file has so many pixels; it waits to be admitted. */
  | { readonly kind: 'ask'; readonly id: number; readonly pixels: number }
  | {
      readonly kind: 'done';
      readonly id: number;
      readonly images: readonly (PreparedImage | KnownImage)[];
      readonly times: PrepareTimes;
    }
  | { readonly kind: 'bug'; readonly id: number; readonly bug: unknown };

if (!parentPort) throw new Error('this module is the body of a worker thread');
const port = parentPort;
const admitted = new Map<number, () => void>();
const chosen = new Map<number, (wanted: readonly boolean[]) => void>();
const reply = (message: WorkerReply, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

port.on('message', (request: WorkerRequest) => {
  const { id } = request;
  if ('jobs' in request) void prepare(request);
  else if ('wanted' in request) chosen.get(id)?.(request.wanted);
  else admitted.get(id)?.();
});

async function prepare({ id, jobs, hashed }: Extract<WorkerRequest, { jobs: unknown }>): Promise<void> {
  try {
    let times: PrepareTimes = { read: 0, decode: 0 };
    const images = await prepareFile(jobs, {
      spent: (found) => {
        times = found;
      },
      admit: (pixels) => {
        reply({ kind: 'ask', id, pixels });
        return new Promise((resolve) => admitted.set(id, resolve));
      },
      wanted: hashed
        ? (hash) => {
            reply({ kind: 'hash', id, hash });
            return new Promise((resolve) => chosen.set(id, resolve));
          }
        : undefined,
    });
    const buffers = images.flatMap((image) =>
      'pixels' in image ? [image.pixels.buffer as ArrayBuffer] : [],
    );
    reply({ kind: 'done', id, images, times }, buffers);
  } catch (bug) {
    reply({ kind: 'bug', id, bug });
  } finally {
    admitted.delete(id);
    chosen.delete(id);
  }
}

Atomics.store((workerData as WorkerStart).began, 0, 1);
reply({ kind: 'ready' });
