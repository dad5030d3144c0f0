import { normals, streams } from '../../common/random.ts';
import type { RgbImage } from '../../data/images/decode.ts';
import { decodeImage } from '../images/decode-image.ts';
import type { Changes } from '../protocol.ts';

/** Numbers of noise that are drawn; a larger image repeats them. */
const noiseDraws = 2 ** 20;

/** An image with something done to it, in its own pixels. */
export async function changeImage(device: GPUDevice, image: RgbImage, changes: Changes): Promise<RgbImage> {
  const { hidden, blur, noise, jpeg } = changes;
  let changed = image;
  if (hidden.length > 0) changed = cover(changed, hidden);
  if (blur > 0) changed = gaussian(changed, blur);
  if (noise > 0) changed = noisy(changed, noise);
  return jpeg > 0 ? recoded(device, changed, jpeg) : changed;
}

/** The square in the middle of an image, which is what is scored of it. */
export function middleOf({ width, height }: RgbImage) {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), side };
}

function cover(image: RgbImage, circles: Changes['hidden']): RgbImage {
  const { width, height } = image;
  const data = image.data.slice();
  const mean = meanColor(image.data);
  const { left, top, side } = middleOf(image);
  for (const circle of circles) {
    const [x, y, radius] = [left + circle.x * side, top + circle.y * side, circle.radius * side];
    for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
      const half = Math.sqrt(radius ** 2 - (row - y) ** 2);
      const last = Math.min(width - 1, Math.floor(x + half));
      for (let column = Math.max(0, Math.ceil(x - half)); column <= last; column++)
        data.set(mean, 3 * (row * width + column));
    }
  }
  return { width, height, data };
}

function meanColor(data: Uint8Array): [number, number, number] {
  const sums: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < data.length; i++) sums[i % 3]! += data[i]!;
  return sums.map((sum) => Math.round((3 * sum) / data.length)) as [number, number, number];
}

/** A Gaussian, cut off at three standard deviations, row-wise and then column-wise; the border repeats. */
function gaussian({ width, height, data }: RgbImage, deviation: number): RgbImage {
  const reach = Math.ceil(3 * deviation);
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)),
  );
  const sum = kernel.reduce((total, value) => total + value, 0);
  const between = new Float32Array(data.length);
  const out = new Uint8Array(data.length);
  const blurLine = (
    from: ArrayLike<number>,
    to: Float32Array | Uint8Array,
    start: number,
    step: number,
    length: number,
  ) => {
    for (let i = 0; i < length; i++) {
      let total = 0;
      for (let k = -reach; k <= reach; k++) {
        const at = Math.min(length - 1, Math.max(0, i + k));
        total += kernel[k + reach]! * from[start + at * step]!;
      }
      to[start + i * step] = total / sum + (to === out ? 0.5 : 0);
    }
  };
  for (let y = 0; y < height; y++)
    for (let c = 0; c < 3; c++) blurLine(data, between, 3 * y * width + c, 3, width);
  for (let x = 0; x < 3 * width; x++) blurLine(between, out, x, 3 * width, height);
  return { width, height, data: out };
}

function noisy({ width, height, data }: RgbImage, deviation: number): RgbImage {
  // The same noise at every strength: the score then moves by the strength alone.
  const draws = normals(Math.min(data.length, noiseDraws), 1, streams.noise);
  const changed = Uint8ClampedArray.from(data, (value, i) => value + deviation * draws[i % draws.length]!);
  return { width, height, data: new Uint8Array(changed.buffer) };
}

/** Through the browser's own JPEG encoder. */
async function recoded(
  device: GPUDevice,
  { width, height, data }: RgbImage,
  quality: number,
): Promise<RgbImage> {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')!.putImageData(new ImageData(rgbaOf(data), width, height), 0, 0);
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: quality / 100 });
  return decodeImage(device, new Uint8Array(await blob.arrayBuffer()), 'the image as JPEG');
}

/** RGB as a canvas has it, opaque. */
export function rgbaOf(rgb: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let i = 0, o = 0; i < rgb.length; i += 3, o += 4) {
    rgba[o] = rgb[i]!;
    rgba[o + 1] = rgb[i + 1]!;
    rgba[o + 2] = rgb[i + 2]!;
    rgba[o + 3] = 255;
  }
  return rgba;
}
