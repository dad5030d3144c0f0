import sharp, { type Sharp } from 'sharp';

type Color = readonly [number, number, number];

/** Okabe and Ito's blue, vermilion and yellow, told apart by every kind of color vision. */
const raises: Color = [0, 114, 178];
const lowers: Color = [213, 94, 0];
const looks: Color = [240, 228, 66];

/** The least transparent that an overlay gets: the image still shows. */
const opaque = 0.85;

/**
 * A map as a transparent PNG of a pixel a number, for a browser to enlarge, as a data URL: blue where it is positive, vermilion where it is
 * negative, the stronger the larger.
 *
 * @param map side · side numbers, row by row
 * @param largest what is strongest; by default the largest size in the map
 */
export function signedOverlay(map: ArrayLike<number>, largest = largestOf(map)): Promise<string> {
  return overlay(map, signed(largest));
}

const signed =
  (largest: number): Paint =>
  (value) => [value < 0 ? lowers : raises, Math.abs(value) / largest];

/** As {@link signedOverlay}, of a map that has no sign: yellow. */
export function plainOverlay(map: ArrayLike<number>): Promise<string> {
  const largest = largestOf(map);
  return overlay(map, (value) => [looks, value / largest]);
}

const largestOf = (map: ArrayLike<number>) => Math.max(Number.MIN_VALUE, ...Array.from(map, Math.abs));

async function overlay(map: ArrayLike<number>, paint: Paint): Promise<string> {
  return dataUrl('png', await painted(map, paint).png({ compressionLevel: 9 }).toBuffer());
}

type Paint = (value: number) => readonly [Color, share: number];

function painted(map: ArrayLike<number>, paint: Paint): Sharp {
  const side = Math.sqrt(map.length);
  const pixels = new Uint8Array(4 * map.length);
  for (let i = 0; i < map.length; i++) {
    const [color, share] = paint(map[i]!);
    pixels.set([...color, Math.round(255 * opaque * Math.min(1, share))], 4 * i);
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 4 } });
}

/** As {@link signedOverlay}, over the image in gray, as one picture of `side` pixels. */
export async function overlaidPicture(
  pixels: Uint8Array,
  map: ArrayLike<number>,
  side: number,
): Promise<string> {
  const size = Math.sqrt(pixels.length / 3);
  const gray = sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .resize(side, side)
    .grayscale();
  const input = await painted(map, signed(largestOf(map)))
    .resize(side, side, { kernel: 'cubic' })
    .png()
    .toBuffer();
  const image = sharp(await gray.toColourspace('srgb').png().toBuffer()).composite([{ input }]);
  return dataUrl('webp', await image.webp({ quality: 72 }).toBuffer());
}

/** A square image, RGB row by row, as a data URL. */
export async function pictureUrl(pixels: Uint8Array): Promise<string> {
  const side = Math.sqrt(pixels.length / 3);
  const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
  return dataUrl('webp', await image.webp({ quality: 84 }).toBuffer());
}

const dataUrl = (kind: string, bytes: Buffer) => `data:image/${kind};base64,${bytes.toString('base64')}`;
