import type { Reporter } from '../common/reporter.ts';
import { encodeTexts } from '../features/text-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { clipOptions, type Settings } from '../training/settings.ts';

/** The features of each prompt, by the prompt; what is too long is cut, and told. */
export async function encodePrompts(
  gpu: Gpu,
  settings: Settings,
  prompts: readonly (string | undefined)[],
  reporter: Reporter,
): Promise<ReadonlyMap<string | undefined, Float32Array>> {
  const distinct = [...new Set(prompts.filter((prompt) => prompt !== undefined))];
  const bar = reporter.bar('encoding prompts', distinct.length);
  try {
    const { features, truncated } = await encodeTexts(gpu, settings.weights, distinct, {
      ...clipOptions(settings),
      truncate: true,
      bar,
    });
    if (truncated > 0)
      reporter.line(`prompts    ${truncated} of ${distinct.length} longer than CLIP reads: cut at their end`);
    return new Map(distinct.map((prompt, i) => [prompt, features[i]!]));
  } finally {
    bar.stop();
  }
}
