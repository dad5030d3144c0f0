import { type Normalization, type PatchesShape, patches } from '../../kernels/patches.ts';
import { allOrNone } from '../scope.ts';
import { Tensor } from '../tensor.ts';

/** Normalized images [B, 3, height, width] → patches [B · height/patch · width/patch, 3 · patch²]. Pixels get no gradient. */
export function patchesFromImages(images: Tensor, patch: number): Tensor {
  const [batch, channels, height, width] = images.shape as [number, number, number, number];
  if (images.shape.length !== 4 || channels !== 3)
    throw new Error(`images are [B, 3, height, width], not [${images.shape.join(', ')}]`);
  return patchesOf(images, { batch, height, width, patch }, null);
}

/** RGB bytes row by row, four to a u32, [B, size · size · 3 / 4] → patches of the normalized images. */
export function patchesFromBytes(
  pixels: Tensor,
  { size, patch, mean, std }: Normalization & { readonly size: number; readonly patch: number },
): Tensor {
  return patchesOf(pixels, { batch: pixels.dim(0), height: size, width: size, patch }, { mean, std });
}

function patchesOf(images: Tensor, shape: PatchesShape, normalization: Normalization | null): Tensor {
  const { batch, height, width, patch } = shape;
  for (const side of [height, width])
    if (side % patch !== 0)
      throw new Error(`images of ${side} pixels do not divide into patches of ${patch}`);
  const rows = (batch * height * width) / (patch * patch);
  return allOrNone(() => {
    const out = Tensor.empty(images.gpu, [rows, 3 * patch * patch]);
    patches(images.gpu, images.buffer, out.buffer, shape, normalization);
    return out;
  });
}
