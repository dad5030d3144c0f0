import sharp from 'sharp';
import { readWhole } from '../common/read-file.ts';
import { decodeImage } from '../data/images/decode.ts';
import type { PredictedImage } from './run-files.ts';

/** An image with its pictures, as data URLs. */
export interface ShownImage extends PredictedImage {
  /** Null where its file cannot be read. */
  readonly thumbnail: string | null;
  /** What in it raises its score, and what lowers it. */
  readonly relevance?: string | undefined;
}

/** Pictures of relevance of images by their paths, where there are any. */
export type RelevanceOf = (paths: readonly string[]) => Promise<ReadonlyMap<string, string>>;

/** A row of images with something in common. */
export interface Gallery {
  readonly title: string;
  readonly images: readonly ShownImage[];
}

/** Side in pixels: a tile's width on a screen of two dots a pixel. */
const side = 288;

/** The test images that the model scores highest and lowest, and those it is most wrong about. */
export async function galleries(
  images: readonly PredictedImage[],
  count: number,
  relevanceOf: RelevanceOf = async () => new Map(),
): Promise<Gallery[]> {
  const by = (rank: (image: PredictedImage) => number, keep = (_: PredictedImage) => true) =>
    images
      .filter(keep)
      .sort((a, b) => rank(b) - rank(a))
      .slice(0, count);
  const excess = ({ prediction, mos }: PredictedImage) => prediction - mos;
  const chosen: [string, PredictedImage[]][] = [
    ['Best: the highest predictions', by(({ prediction }) => prediction)],
    ['Worst: the lowest predictions', by(({ prediction }) => -prediction)],
    ['Overrated most', by(excess, (image) => excess(image) > 0)],
    [
      'Underrated most',
      by(
        (image) => -excess(image),
        (image) => excess(image) < 0,
      ),
    ],
  ];
  const paths = chosen.flatMap(([, members]) => members.flatMap(({ path }) => path ?? []));
  const relevance = await relevanceOf([...new Set(paths)]);
  const result: Gallery[] = [];
  for (const [title, members] of chosen)
    if (members.length > 0) result.push({ title, images: await withPictures(members, relevance) });
  return result;
}

/** One after the other: a large image takes hundreds of megabytes while it is decoded. */
async function withPictures(
  images: readonly PredictedImage[],
  relevance: ReadonlyMap<string, string>,
): Promise<readonly ShownImage[]> {
  const found: ShownImage[] = [];
  for (const image of images) {
    const { path } = image;
    if (path === undefined) found.push({ ...image, thumbnail: null });
    else found.push({ ...image, thumbnail: await thumbnail(path), relevance: relevance.get(path) });
  }
  return found;
}

/**
 * The center square, which is what the model sees, as a data URL; null if the file cannot be read. It is read as training reads
 * it, within the same limits: where it lies is for a run's files to say, which somebody may have sent.
 */
async function thumbnail(path: string): Promise<string | null> {
  try {
    const { width, height, data } = await decodeImage(await readWhole(path, 'imageBytes'), path);
    const image = sharp(data, { raw: { width, height, channels: 3 } });
    const small = image.resize(side, side, { fit: 'cover' });
    return `data:image/webp;base64,${(await small.webp({ quality: 78 }).toBuffer()).toString('base64')}`;
  } catch {
    return null;
  }
}
