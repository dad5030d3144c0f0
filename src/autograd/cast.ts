import { floatsToHalves, halvesToFloats } from '../kernels/cast.ts';
import { allOrNone } from './scope.ts';
import { Tensor } from './tensor.ts';

/** x as halves: storage for what is frozen. Not differentiable; |x| from 65520 on becomes infinite. */
export function toHalf(x: Tensor): Tensor {
  if (x.type !== 'f32') throw new Error(`toHalf takes an f32 tensor, not ${x.type}`);
  return allOrNone(() => {
    const out = Tensor.empty(x.gpu, x.shape, 'f16');
    floatsToHalves(x.gpu, x.buffer, out.buffer, x.size);
    return out;
  });
}

/** Halves as float32, exactly. Not differentiable. */
export function toFloat(x: Tensor): Tensor {
  if (x.type !== 'f16') throw new Error(`toFloat takes an f16 tensor, not ${x.type}`);
  return allOrNone(() => {
    const out = Tensor.empty(x.gpu, x.shape);
    halvesToFloats(x.gpu, x.buffer, out.buffer, x.size);
    return out;
  });
}
