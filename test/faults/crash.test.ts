import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { sharedGpu } from '../gpu.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { describePoints } from './disk-states.ts';
import { kinds, prepareImages } from './kinds.ts';
import { crashStates, goneProcess, resumeFrom, runUndisturbed } from './sweep.ts';

const folder = temporaryFolder('crash');
beforeAll(() => prepareImages(join(folder, 'any')));

describe('killed at any moment and resumed, the same bytes come out:', () => {
  it.each(kinds)('$name', async (kind) => {
    const gpu = await sharedGpu();
    const undisturbed = await runUndisturbed(gpu, kind, join(folder, kind.name));
    const states = crashStates(undisturbed.points);
    const gone = goneProcess();
    const wrong: string[] = [];
    for (const { points, left } of states)
      for (const difference of await resumeFrom(gpu, undisturbed, left, gone))
        wrong.push(`${describePoints(points, undisturbed.folder)}: ${difference}`);
    expect(wrong).toEqual([]);
  });
});
