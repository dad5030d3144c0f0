import { expect, it } from 'vitest';
import { Resources } from '../src/common/resources.ts';

it('are let go once, the last first, also where one of them fails at it', async () => {
  const freed: string[] = [];
  const held = new Resources();
  const tensor = { dispose: () => freed.push('tensor') };
  expect(held.hold(tensor)).toBe(tensor);
  held.hold({
    dispose: () => {
      throw new Error('no luck');
    },
  });
  held.hold({
    close: async () => {
      await Promise.resolve();
      freed.push('file');
    },
  });
  await expect(held.release()).rejects.toThrow('no luck');
  expect(freed).toEqual(['file', 'tensor']);
  await held.release();
  expect(freed).toHaveLength(2);
});
