/** The worker thread of `PictureLoader`: a job comes in, its picture goes out, without a copy of the pixels. */
import { parentPort, workerData } from 'node:worker_threads';
import { type PictureJob, type PreparedPicture, preparePicture } from './prepare.ts';

/** What a thread is started with. `began` becomes 1 once it takes jobs: a message would come too late from one that ends at once. */
export interface WorkerStart {
  readonly began: Int32Array;
}

/** A job; or, of one that asked, that it may decode. */
export type WorkerRequest =
  | { readonly id: number; readonly job: PictureJob }
  | { readonly id: number; readonly admitted: true };

/** `bug` is what was thrown beside errors of the picture itself. */
export type WorkerReply =
  /** The thread has begun, and takes jobs. */
  | { readonly kind: 'ready' }
  /** The picture of this job has so many pixels; it waits to be admitted. */
  | { readonly kind: 'ask'; readonly id: number; readonly pixels: number }
  | { readonly kind: 'done'; readonly id: number; readonly picture: PreparedPicture }
  | { readonly kind: 'bug'; readonly id: number; readonly bug: unknown };

const port = parentPort!;
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
    const picture = await preparePicture(request.job, (pixels) => {
      reply({ kind: 'ask', id, pixels });
      return new Promise((admitted) => waiting.set(id, admitted));
    });
    reply({ kind: 'done', id, picture }, 'pixels' in picture ? [picture.pixels.buffer as ArrayBuffer] : []);
  } catch (bug) {
    reply({ kind: 'bug', id, bug });
  }
});
Atomics.store((workerData as WorkerStart).began, 0, 1);
reply({ kind: 'ready' });
