import source from '../../../shaders/rms_norm.wgsl';
import backwardSource from '../../../shaders/rms_norm_backward.wgsl';
import { rowKernel } from './row-kernel.ts';

/** y = x / sqrt(mean(x²) + eps) · gamma for each row of x. */
export const rmsNorm = rowKernel('rms_norm', source);
/** The gradient by x, and each row's terms of that by gamma, from x, gamma and dy. */
export const rmsNormBackward = rowKernel('rms_norm_backward', backwardSource);
