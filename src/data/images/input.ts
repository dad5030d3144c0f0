import { fileURLToPath } from 'node:url';
import { UserError } from '../../common/errors.ts';

/** Pixels of 8 bits, row by row from the top: what `sharp(…).raw().toBuffer({ resolveWithObject: true })` gives, as `{ data, ...info }`. */
export interface RawImage {
  /** `width` · `height` · `channels` bytes. */
  readonly data: Uint8Array | Uint8ClampedArray;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA; alpha is dropped, not blended, as it is of a file. */
  readonly channels: number;
}

/** A `Blob`, or whatever else gives its bytes as one does, such as a `File` or a `Response`. */
export interface BlobLike {
  /** The bytes of an encoded image. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A `file:` URL. */
export interface FileUrl {
  /** Begins with `file:`. */
  readonly href: string;
}

/**
 * An image: the path or `file:` URL of a file; the bytes of an encoded one (JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP) as a `Buffer`,
 * `Uint8Array`, `ArrayBuffer` or `Blob`; or its pixels.
 */
export type ImageSource = string | FileUrl | Uint8Array | ArrayBuffer | BlobLike | RawImage;

/** An image under a name of its own, for results and errors; by default a file's is its path, and another's `image 3` where it is the third. */
export type ImageInput = ImageSource | { readonly name: string; readonly image: ImageSource };

/** What a job needs to know of an image; its path is its name where its bytes or pixels are given. */
export interface OpenedInput {
  /** For results. */
  readonly name: string;
  readonly path: string;
  readonly image?: Uint8Array | RawImage;
}

/**
 * Finds out what was given. Bytes are not copied, and files are not read yet.
 *
 * @param index from 0, for the name of one that has none
 * @throws UserError for what is no image at all; one that cannot be decoded is found out later
 */
export async function openInput(input: ImageInput, index: number): Promise<OpenedInput> {
  if (isObject(input) && 'image' in input && 'name' in input) {
    return { ...(await openSource(input.image, input.name)), name: input.name };
  }
  return openSource(input as ImageSource, `image ${index + 1}`);
}

async function openSource(source: ImageSource, name: string): Promise<OpenedInput> {
  if (typeof source === 'string') return { name: source, path: source };
  if (source instanceof Uint8Array) return { name, path: name, image: source };
  if (source instanceof ArrayBuffer) return { name, path: name, image: new Uint8Array(source) };
  if (isObject(source)) {
    if ('href' in source && String(source.href).startsWith('file:')) {
      const path = fileURLToPath(source.href);
      return { name: path, path };
    }
    if ('width' in source && 'height' in source && 'data' in source) {
      // Only what is of use: it goes to another thread.
      const { data, width, height, channels } = source;
      return { name, path: name, image: { data, width, height, channels } };
    }
    // What it gives depends on what was asked of it before, down to a JPEG that is compressed again.
    if ('toBuffer' in source)
      throw new UserError(
        `${name}: a sharp instance is no image`,
        'Pass its pixels, { data, ...info } of .raw().toBuffer({ resolveWithObject: true }), or the bytes of the file.',
      );
    if ('arrayBuffer' in source) return { name, path: name, image: await readBlob(source, name) };
  }
  throw new UserError(
    `${name}: ${source === null ? 'null' : `a value of type ${typeof source}`} is no image`,
    'Pass a path, the bytes of an image file (Buffer, Uint8Array, ArrayBuffer, Blob), or { data, width, height, channels }.',
  );
}

async function readBlob(blob: BlobLike, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw new UserError(`${name}: its bytes cannot be read (${(cause as Error).message})`, undefined, {
      cause,
    });
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
