/** What the headers of a Windows bitmap say (Microsoft, "Bitmap Storage"). */
export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  /** Rows come from the top; in most files they come from the bottom. */
  readonly topDown: boolean;
  readonly bits: number;
  /** Bytes of a row, a multiple of four. */
  readonly stride: number;
  /** Where the rows begin. */
  readonly pixels: number;
  readonly palette: { readonly start: number; readonly colors: number; readonly entry: 3 | 4 } | null;
}

/** Why a BMP is not read, without the file's name. */
export class BmpError extends Error {
  override readonly name = 'BmpError';
}

/** `BITMAPFILEHEADER`. */
const fileHeader = 14;
/** OS/2's header, with sizes of 16 bits and palette entries of three bytes. */
const coreHeader = 12;
/** `BITMAPINFOHEADER` and those that begin with it: with masks, OS/2's second, versions 4 and 5. */
const infoHeaders: readonly number[] = [40, 52, 56, 64, 108, 124];

const compressions: Readonly<Record<number, string>> = {
  1: 'RLE8',
  2: 'RLE4',
  4: 'JPEG',
  5: 'PNG',
  6: 'bit fields with alpha',
};
const bitFields = 3;

/** Whether a file begins as a BMP does: `BM`, and 12 bytes on a header of a known size. */
export function isBmp(bytes: Uint8Array): boolean {
  if (bytes.length < fileHeader + coreHeader || bytes[0] !== 0x42 || bytes[1] !== 0x4d) return false;
  const size = viewOf(bytes).getUint32(fileHeader, true);
  return size === coreHeader || infoHeaders.includes(size);
}

/**
 * Reads the headers of a file for which {@link isBmp} holds; no pixel is looked at. Read are pixels of 24 or 32 bits, and of 1, 4 or
 * 8 bits with a palette: TID2013 and LIVE are made of these. Compressed ones (RLE, or a JPEG within) and 16 bits are refused.
 *
 * @throws BmpError
 */
export function readBmpHeader(bytes: Uint8Array): BmpHeader {
  const view = viewOf(bytes);
  const pixels = view.getUint32(10, true);
  const size = view.getUint32(fileHeader, true);
  const end = fileHeader + size;
  if (bytes.length < end) throw new BmpError('its header is cut off');
  const core = size === coreHeader;
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const tall = core ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(tall);
  const bits = view.getUint16(core ? 24 : 28, true);
  const compression = core ? 0 : view.getUint32(30, true);
  if (width < 1 || height < 1) throw new BmpError(`its size is ${width} x ${tall}`);
  if (![1, 4, 8, 24, 32].includes(bits))
    throw new BmpError(`a BMP of ${bits} bits per pixel is not supported`);
  if (compression === bitFields) checkMasks(view, bits);
  else if (compression !== 0)
    throw new BmpError(`a BMP compressed by ${compressions[compression] ?? compression} is not supported`);
  const entry = core ? 3 : 4;
  const colors = bits > 8 ? 0 : (core ? 0 : view.getUint32(46, true)) || 2 ** bits;
  if (colors > 2 ** bits) throw new BmpError(`a palette of ${colors} colors, for ${bits} bits per pixel`);
  if (pixels < end + colors * entry) throw new BmpError('its pixels begin inside its header');
  const palette = colors > 0 ? { start: end, colors, entry: entry as 3 | 4 } : null;
  const stride = 4 * Math.ceil((width * bits) / 32);
  return { width, height, topDown: tall < 0, bits, stride, pixels, palette };
}

/** Refuses any order but blue, green, red in memory: others are hardly ever met. */
function checkMasks(view: DataView, bits: number): void {
  // Behind BITMAPINFOHEADER, of which later headers make them the next members.
  const at = fileHeader + 40;
  if (bits <= 8 || view.byteLength < at + 12) throw new BmpError('its color masks are missing');
  const masks = [0, 4, 8].map((offset) => view.getUint32(at + offset, true));
  if (masks.join() !== [0xff0000, 0xff00, 0xff].join())
    throw new BmpError(
      'a BMP with color masks other than eight bits each of red, green and blue is not supported',
    );
}

/**
 * The pixels as 8-bit RGB, row by row from the top, alpha left out as Pillow's `convert('RGB')` does.
 *
 * @throws BmpError if there are fewer than the header says, or one has a color that the palette lacks
 */
export function decodeBmp(bytes: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, topDown, stride, pixels, palette } = header;
  // The last row may lack the bytes that fill it up.
  const needed = (height - 1) * stride + Math.ceil((width * header.bits) / 8);
  if (bytes.length - pixels < needed)
    throw new BmpError(
      `holds ${Math.max(0, bytes.length - pixels)} bytes of pixels where ${needed} are needed`,
    );
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = pixels + (topDown ? y : height - 1 - y) * stride;
    const to = y * width * 3;
    if (palette) copyIndexed(bytes, from, data, to, header);
    else copyColors(bytes, from, data, to, header);
  }
  return data;
}

function copyColors(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  { width, bits }: BmpHeader,
) {
  const step = bits / 8;
  for (let x = 0, i = from, o = to; x < width; x++, i += step, o += 3) {
    target[o] = source[i + 2]!;
    target[o + 1] = source[i + 1]!;
    target[o + 2] = source[i]!;
  }
}

function copyIndexed(source: Uint8Array, from: number, target: Uint8Array, to: number, header: BmpHeader) {
  const { width, bits, palette } = header;
  const { start, colors, entry } = palette!;
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  for (let x = 0, o = to; x < width; x++, o += 3) {
    // The leftmost pixel is in the highest bits.
    const shift = 8 - bits * (1 + (x % perByte));
    const index = (source[from + Math.floor(x / perByte)]! >> shift) & mask;
    if (index >= colors) throw new BmpError(`a pixel has color ${index} of a palette of ${colors}`);
    const color = start + index * entry;
    target[o] = source[color + 2]!;
    target[o + 1] = source[color + 1]!;
    target[o + 2] = source[color]!;
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
