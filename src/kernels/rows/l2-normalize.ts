import source from '../../../shaders/l2_normalize.wgsl';
import backwardSource from '../../../shaders/l2_normalize_backward.wgsl';
import { rowKernel } from './row-kernel.ts';

/** y = x / max(|x|, eps) for each row of x. */
export const l2Normalize = rowKernel('l2_normalize', source);
/** The gradient by x, from x and dy. */
export const l2NormalizeBackward = rowKernel('l2_normalize_backward', backwardSource);
