import type { RgbImage } from '../../data/images/decode.ts';

/** Pixels that pass through a texture at once: 64 MB of it and of the buffer it is read from. */
const pixelsAtOnce = 2 ** 24;

/**
 * The pixels of a bitmap as RGB, exactly as they were decoded. Through a texture and not a canvas: a canvas multiplies color by alpha,
 * which cannot be undone, and what is read from it is changed by browsers that resist fingerprinting.
 */
export async function readBitmap(device: GPUDevice, bitmap: ImageBitmap): Promise<RgbImage> {
  const { width, height } = bitmap;
  const data = new Uint8Array(width * height * 3);
  const side = device.limits.maxTextureDimension2D;
  const tileWidth = Math.min(width, side);
  const tileHeight = Math.min(height, side, Math.max(1, Math.floor(pixelsAtOnce / tileWidth)));
  for (let y = 0; y < height; y += tileHeight)
    for (let x = 0; x < width; x += tileWidth) {
      const tile = { x, y, width: Math.min(tileWidth, width - x), height: Math.min(tileHeight, height - y) };
      await readTile(device, bitmap, tile, data);
    }
  return { width, height, data };
}

interface Tile {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

async function readTile(
  device: GPUDevice,
  bitmap: ImageBitmap,
  { x, y, width, height }: Tile,
  data: Uint8Array,
): Promise<void> {
  const texture = device.createTexture({
    size: [width, height],
    format: 'rgba8unorm',
    usage: GPUTextureUsage.COPY_SRC | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
  });
  const bytesPerRow = Math.ceil((4 * width) / 256) * 256;
  const buffer = device.createBuffer({
    size: bytesPerRow * height,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  try {
    const target = { texture, premultipliedAlpha: false };
    device.queue.copyExternalImageToTexture({ source: bitmap, origin: [x, y] }, target, [width, height]);
    const encoder = device.createCommandEncoder();
    encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
    device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    const rgba = new Uint8Array(buffer.getMappedRange());
    for (let row = 0; row < height; row++) {
      let to = 3 * ((y + row) * bitmap.width + x);
      for (let from = row * bytesPerRow; from < row * bytesPerRow + 4 * width; from += 4) {
        data[to++] = rgba[from]!;
        data[to++] = rgba[from + 1]!;
        data[to++] = rgba[from + 2]!;
      }
    }
  } finally {
    texture.destroy();
    buffer.destroy();
  }
}
