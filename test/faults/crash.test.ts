import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedGpu } from '../gpu.ts';
import { describePoints } from './disk-states.ts';
import { kinds, prepareImages } from './kinds.ts';
import { crashStates, goneProcess, resumeFrom, runUndisturbed } from './sweep.ts';

const folder = mkdtempSync(join(tmpdir(), 'crash-'));
beforeAll(() => prepareImages(join(folder, 'any')));
afterAll(() => rmSync(folder, { recursive: true }));

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
