import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { describeWeights } from '../src/model/weights/describe.ts';
import { identifyWeights, officialWeights } from '../src/model/weights/official.ts';

const folder = mkdtempSync(join(tmpdir(), 'official-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('a digest tells the published file, whatever its name', () => {
  const { sha256 } = officialWeights.find(({ file }) => file === 'ViT-B-16.pt')!;
  expect(identifyWeights(sha256, 'renamed.bin')).toBe('OpenAI CLIP ViT-B/16, the published ViT-B-16.pt');
  const { sha256: resnet } = officialWeights.find(({ file }) => file === 'RN50.pt')!;
  expect(identifyWeights(resnet, 'RN50.pt')).toMatch(/ResNet, which is not supported/);
  expect(identifyWeights('0'.repeat(64), 'mine.safetensors')).toBeNull();
});

it('digests are whole and distinct', () => {
  for (const { sha256 } of officialWeights) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(officialWeights.map(({ sha256 }) => sha256)).size).toBe(officialWeights.length);
});

it('a file that only bears the name of a published one is said to differ', async () => {
  const path = join(folder, 'vit-b-16.pt');
  copyFileSync('test/fixtures/reference/tiny/openai.safetensors', path);
  const { sha256, official } = await describeWeights(path, { values: true });
  expect(sha256).toBe(createHash('sha256').update(readFileSync(path)).digest('hex'));
  expect(official).toMatch(
    /^not the published ViT-B-16\.pt of OpenAI CLIP ViT-B\/16, whose SHA-256 is 5806e7/,
  );
  expect((await describeWeights(path)).sha256).toBeNull();
});
