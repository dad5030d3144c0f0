import { expect, it } from 'vitest';
import { DeviceTime } from '../src/features/encode-times.ts';

it('a device is busy while any of its work is under way, and idle from when the last ended', async () => {
  let now = 0;
  const time = new DeviceTime(() => now);
  const ends: (() => void)[] = [];
  const work = () => time.during(() => new Promise<void>((resolve) => void ends.push(resolve)));
  now = 10;
  const first = work();
  now = 15;
  const second = work();
  now = 20;
  ends[0]!();
  await first;
  expect([time.busy, time.idleSince(0)]).toEqual([10, 0]);
  now = 30;
  ends[1]!();
  await second;
  now = 34;
  // Asked for at 12, when there was work until 30.
  expect([time.busy, time.idleSince(12), time.idleSince(33)]).toEqual([20, 4, 1]);
});
