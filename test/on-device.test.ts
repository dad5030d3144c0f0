import { expect, it } from 'vitest';
import { OnDevice } from '../src/features/on-device.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';

const [a, b] = [{}, {}] as [Gpu, Gpu];

it('what lives on a device is made once for each, and once for all who ask meanwhile', async () => {
  const made: Gpu[] = [];
  const tower = new OnDevice(async (gpu) => made.push(gpu));
  expect(await Promise.all([tower.on(a), tower.on(a)])).toEqual([1, 1]);
  expect([await tower.on(b), await tower.on(b), await tower.latest]).toEqual([2, 2, 2]);
  expect(made).toEqual([a, b]);
});

it('what could not be made is tried again by the next who asks', async () => {
  let tries = 0;
  const tower = new OnDevice(async () => {
    if (++tries < 3) throw new Error(`no room, ${tries}`);
    return tries;
  });
  await expect(Promise.all([tower.on(a), tower.on(a)])).rejects.toThrow('no room, 1');
  await expect(tower.on(a)).rejects.toThrow('no room, 2');
  expect(await tower.on(a)).toBe(3);
});
