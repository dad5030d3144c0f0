/** The worker thread of `PictureLoader`: a job comes in, its picture goes out, without a copy of the pixels. */
import { parentPort } from 'node:worker_threads';
import { type PictureJob, type PreparedPicture, preparePicture } from './picture.ts';

export interface WorkerRequest {
  readonly id: number;
  readonly job: PictureJob;
}

/** `bug` is what was thrown beside errors of the picture itself. */
export interface WorkerReply {
  readonly id: number;
  readonly picture?: PreparedPicture;
  readonly bug?: unknown;
}

const port = parentPort!;
port.on('message', async ({ id, job }: WorkerRequest) => {
  try {
    const picture = await preparePicture(job);
    const buffers = 'pixels' in picture ? [picture.pixels.buffer as ArrayBuffer] : [];
    port.postMessage({ id, picture } satisfies WorkerReply, buffers);
  } catch (bug) {
    port.postMessage({ id, bug } satisfies WorkerReply);
  }
});
