import { packageFile } from '../../common/package.ts';

/** What `--weights embedded` stands for: the small CLIP that comes with the package. */
export const weightsPath = (weights: string): string =>
  weights === 'embedded' ? packageFile('models', 'small-clip.safetensors') : weights;

/** What `--model embedded` stands for: a head on that CLIP, which scores the quality of AI-generated images. */
export const modelPath = (model: string): string =>
  model === 'embedded' ? packageFile('models', 'small-clip-quality.safetensors') : model;
