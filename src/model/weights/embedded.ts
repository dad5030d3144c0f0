import { packageFile } from '../../common/package.ts';

/** What `--weights embedded` stands for: the model that comes with the project. */
export function weightsPath(weights: string): string {
  return weights === 'embedded' ? packageFile('models', 'small-clip.safetensors') : weights;
}
