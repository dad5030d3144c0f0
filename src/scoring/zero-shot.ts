import { Tensor } from '../autograd/tensor.ts';
import { encodeTexts } from '../features/text-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Reading } from '../model/class-constants.ts';
import { ClassScores } from '../model/class-scores.ts';
import { antonyms, templatePrompts } from '../training/create-learner.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import type { ScoringModel } from './scoring-model.ts';

/**
 * CLIP as it is, without a training run: how near an image lies to fixed texts, from 0 to 1. By antonyms it is the probability of
 * "Good photo." against "Bad photo." (CLIP-IQA: Wang et al., AAAI 2023, arXiv 2207.12396); by words the expected value of the
 * quality words' probabilities, which stand for equal steps from 0 (terrible) to 1 (perfect).
 *
 * @returns what makes the model on a device
 */
export async function zeroShotModel(
  gpu: Gpu,
  weights: string,
  settings: Settings,
  reading: Reading,
): Promise<(device: Gpu) => ScoringModel> {
  const texts = reading === 'antonyms' ? antonyms : templatePrompts(settings.template);
  const values = reading === 'antonyms' ? [1, 0] : texts.map((_, i) => i / (texts.length - 1));
  const { features, logitScale } = await encodeTexts(gpu, weights, texts, clipOptions(settings));
  const rows = Float32Array.from(features.flatMap((feature) => [...feature]));
  return (device) =>
    new ClassScores(
      Tensor.from(device, rows, [texts.length, rows.length / texts.length]),
      Float32Array.from(values),
      logitScale,
    );
}
