import { inNode } from '../../common/environment.ts';

/**
 * Waiting without taking a core. Cause: Dawn in Node (webgpu 0.6) learns that the GPU has finished by polling in every turn of the
 * event loop, and the loop turns as fast as it can while something waits. Measured: on lavapipe with two cores, where that core is
 * one of those that compute, a product of 1576 x 768 x 768 took 1.7 to 1.9 times as long. Remedy: while something waits, each turn
 * sleeps for a sixteenth of the time waited so far, which is also the most that the answer can come late, and never for more than
 * a millisecond, since other events wait as well. It can go when the package waits for the device in a thread of its own.
 */

/** Milliseconds of waiting before the first sleep: none to speak of where the processor computes, else most waits of a GPU. */
const spinMs = { software: 0.05, hardware: 2 };

const maxSleepMs = 1;

/** Node's own, whatever a test puts in its place. A page has none, or a polyfill's, and may neither share memory nor sleep. */
const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
const nextTurn = inNode ? setImmediate : undefined;

/** Waits under way, when the last of them began, and how long that one may spin. */
let waiting = 0;
let since = 0;
let spin = 0;
let turning = false;
let cell: Int32Array | undefined;

/** The promise's value. In a browser, whose event loop sleeps by itself, nothing else happens. */
export async function waitWithoutSpinning<T>(work: Promise<T>, software: boolean): Promise<T> {
  if (!nextTurn) return work;
  waiting++;
  since = performance.now();
  spin = software ? spinMs.software : spinMs.hardware;
  if (!turning) {
    turning = true;
    nextTurn(turn);
  }
  try {
    return await work;
  } finally {
    waiting--;
  }
}

/** Resolves after so many turns of the event loop; in a browser at once. */
export async function nextTicks(count: number): Promise<void> {
  for (let i = 0; i < count && nextTurn; i++) await new Promise<void>((resolve) => nextTurn(resolve));
}

function turn(): void {
  if (waiting === 0) {
    turning = false;
    return;
  }
  const waited = performance.now() - since;
  if (waited > spin) {
    cell ??= new Int32Array(new SharedArrayBuffer(4));
    Atomics.wait(cell, 0, 0, Math.min(maxSleepMs, waited / 16));
  }
  nextTurn!(turn);
}
