import { expect, it } from 'vitest';
import { DeviceErrors, DeviceLostError } from '../src/kernels/device/errors.ts';
import { waitWithoutSpinning } from '../src/kernels/device/event-loop.ts';
import { openDevice } from '../src/kernels/node/open-gpu.ts';

const later = <T>(value: T, milliseconds: number) =>
  new Promise<T>((resolve) => setTimeout(resolve, milliseconds, value));

/** Turns of the event loop until the promise is settled. */
async function turnsUntil(work: Promise<unknown>): Promise<number> {
  let [turns, settled] = [0, false];
  const count = () => {
    turns++;
    if (!settled) setImmediate(count);
  };
  setImmediate(count);
  await work.catch(() => {});
  settled = true;
  return turns;
}

it('lets the event loop turn some hundred times where it would turn a hundred thousand times', async () => {
  const spinning = await turnsUntil(later(0, 200));
  const patient = await turnsUntil(waitWithoutSpinning(later(0, 200), true));
  expect(patient).toBeLessThan(500);
  expect(spinning).toBeGreaterThan(10 * patient);
  // Nothing waits any more: the loop turns freely again.
  expect(await turnsUntil(later(0, 200))).toBeGreaterThan(10 * patient);
});

it('passes on values and errors, and waits for several at once', async () => {
  const failing = waitWithoutSpinning(Promise.reject(new Error('the device was lost')), true);
  await expect(failing).rejects.toThrow('the device was lost');
  const all = [30, 10, 20].map((milliseconds) =>
    waitWithoutSpinning(later(milliseconds, milliseconds), true),
  );
  expect(await Promise.all(all)).toEqual([30, 10, 20]);
});

it('is not kept up by what a lost device never settles', async () => {
  const { device, processor, immediate, watchdog } = await openDevice();
  const errors = new DeviceErrors({ device, processor, immediate, watchdog });
  const waiting = errors.wait(new Promise(() => {}));
  errors.end(new DeviceLostError('lost'));
  await expect(waiting).rejects.toThrow('lost');
  device.destroy();
  // Asleep for up to a millisecond a turn, it would be some hundred.
  expect(await turnsUntil(later(0, 200))).toBeGreaterThan(2000);
});
