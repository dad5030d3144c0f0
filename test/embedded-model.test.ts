import { readFileSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { modelPath, weightsPath } from '../src/model/weights/embedded.ts';
import { weightsId } from '../src/model/weights/weights-id.ts';
import { readModel } from '../src/scoring/trained-model.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';

// models/small-clip-quality.safetensors, which `score` uses where no model is named.
const model = await readModel('embedded');

it('is what its configuration trains, on the published split', () => {
  const config = parse(readFileSync('configs/small_clip_plus.yaml', 'utf8'));
  expect(model.settings).toEqual(applySettings(defaultSettings(), config, 'small_clip_plus'));
  expect(model.state).toMatchObject({ epoch: model.settings.epochs });
  expect(model.data?.counts).toEqual({ training: 2385, validation: 0, test: 597 });
});

it('goes with the embedded weights, is small, and tells of no folder', async () => {
  expect(model.weightsId).toBe(await weightsId(weightsPath('embedded')));
  const path = modelPath('embedded');
  expect(statSync(path).size).toBeLessThan(1_900_000);
  const bytes = readFileSync(path);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString();
  expect(header).toContain('clip-agiqa-webgpu checkpoint');
  expect(header).not.toMatch(/[/\\](home|root|tmp|work|Users)\b/);
});

it('is described by its card', () => {
  const card = readFileSync('models/README.md', 'utf8').split('# Model card: `small-clip-quality')[1]!;
  const numbers = [...model.constants.values()].reduce((sum, { data }) => sum + data.length, 0);
  expect(card).toContain(`${numbers.toLocaleString('en')} numbers`);
  expect(card).toContain(`${model.settings.epochs} epochs, seed ${model.settings.seed}`);
});
