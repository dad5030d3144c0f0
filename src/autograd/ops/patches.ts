import { type Normalization, patches } from '../../kernels/patches.ts';
import { Tensor } from '../tensor.ts';

/** Normalised pictures [B, 3, size, size] → patches [B · (size/patch)², 3 · patch²]. Pixels get no gradient. */
export function patchesFromImages(images: Tensor, patch: number): Tensor {
  const [batch, , size] = images.shape as [number, number, number];
  return patchesOf(images, batch, size, patch, null);
}

/** RGB bytes row by row, four to a u32, [B, size · size · 3 / 4] → patches of the normalised pictures. */
export function patchesFromBytes(
  pixels: Tensor,
  { size, patch, mean, std }: Normalization & { readonly size: number; readonly patch: number },
): Tensor {
  return patchesOf(pixels, pixels.dim(0), size, patch, { mean, std });
}

function patchesOf(
  pictures: Tensor,
  batch: number,
  size: number,
  patch: number,
  normalization: Normalization | null,
): Tensor {
  if (size % patch !== 0)
    throw new Error(`pictures of ${size} pixels do not divide into patches of ${patch}`);
  const out = Tensor.empty(pictures.gpu, [batch * (size / patch) ** 2, 3 * patch * patch]);
  patches(pictures.gpu, pictures.buffer, out.buffer, { batch, size, patch }, normalization);
  return out;
}
