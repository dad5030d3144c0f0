/**
 * Waiting without taking a core. Dawn in Node learns that the GPU has finished by asking in every turn of the event loop, and
 * the loop turns as fast as it can while something waits. On a software adapter that core is one of those that compute: with
 * two, half of a kernel's speed. So while something waits, each turn sleeps for a sixteenth of the time waited so far, which
 * is also the most that the answer can come late, and never for more than a millisecond, since other events wait as well.
 */

/** Milliseconds of waiting before the first sleep: none to speak of where the processor computes, else most waits of a GPU. */
const grace = { software: 0.05, hardware: 2 };

const longest = 1;

/** Node's own, whatever a test puts in its place; a browser has none. */
const nextTurn = globalThis.setImmediate as ((callback: () => void) => unknown) | undefined;

/** Waits under way, when the last of them began, and how long that one may spin. */
let waiting = 0;
let since = 0;
let spin = 0;
let turning = false;
let cell: Int32Array | undefined;

/** The promise's value. In a browser, whose event loop sleeps by itself, nothing else happens. */
export async function patiently<T>(work: Promise<T>, software: boolean): Promise<T> {
  if (!nextTurn) return work;
  waiting++;
  since = performance.now();
  spin = software ? grace.software : grace.hardware;
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
export async function turns(count: number): Promise<void> {
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
    Atomics.wait(cell, 0, 0, Math.min(longest, waited / 16));
  }
  nextTurn!(turn);
}
