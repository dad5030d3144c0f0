/** The worker thread of `ImageLoader`: a job comes in, its image goes out, without a copy of the pixels. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ImageJob, type PreparedImage, prepareImage } from './prepare.ts';

/** What a thread is started with. `began` becomes 1 once it takes jobs: a message would come too late from one that ends at once. */
export interface WorkerStart {
  readonly began: Int32Array;
}

/** A job; or, of one that asked, that it may decode. */
export type WorkerRequest =
  | { readonly id: number; readonly job: ImageJob }
  | { readonly id: number; readonly admitted: true };

/** `bug` is what was thrown beside errors of the image itself. */
export type WorkerReply =
  /** The thread has begun, and takes jobs. */
  | { readonly kind: 'ready' }
  /** The image of this job has so many pixels; it waits to be admitted. */
  | { readonly kind: 'ask'; readonly id: number; readonly pixels: number }
  | { readonly kind: 'done'; readonly id: number; readonly image: PreparedImage }
  | { readonly kind: 'bug'; readonly id: number; readonly bug: unknown };

if (!parentPort) throw new Error('this module is the body of a worker thread');
const port = parentPort;
const waiting = new Map<number, () => void>();
const reply = (message: WorkerReply, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

port.on('message', async (request: WorkerRequest) => {
  const { id } = request;
  if ('admitted' in request) {
    waiting.get(id)?.();
    waiting.delete(id);
    return;
  }
  try {
    const image = await prepareImage(request.job, (pixels) => {
      reply({ kind: 'ask', id, pixels });
      return new Promise((admitted) => waiting.set(id, admitted));
    });
    reply({ kind: 'done', id, image }, 'pixels' in image ? [image.pixels.buffer as ArrayBuffer] : []);
  } catch (bug) {
    reply({ kind: 'bug', id, bug });
  }
});
Atomics.store((workerData as WorkerStart).began, 0, 1);
reply({ kind: 'ready' });
