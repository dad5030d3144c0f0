import sharp from 'sharp';
import { readWhole } from '../common/read-file.ts';
import { decodeImage } from '../data/images/decode.ts';
import type { PredictedPicture } from './run-files.ts';

/** A row of pictures with something in common. */
export interface Gallery {
  readonly title: string;
  readonly pictures: readonly (PredictedPicture & { readonly thumbnail: string | null })[];
}

/** Side in pixels: a tile's width on a screen of two dots a pixel. */
const side = 288;

/** The test pictures that the model scores highest and lowest, and those it is most wrong about. */
export async function galleries(pictures: readonly PredictedPicture[], count: number): Promise<Gallery[]> {
  const by = (rank: (picture: PredictedPicture) => number, keep = (_: PredictedPicture) => true) =>
    pictures
      .filter(keep)
      .sort((a, b) => rank(b) - rank(a))
      .slice(0, count);
  const excess = ({ prediction, mos }: PredictedPicture) => prediction - mos;
  const chosen: [string, PredictedPicture[]][] = [
    ['Best: the highest predictions', by(({ prediction }) => prediction)],
    ['Worst: the lowest predictions', by(({ prediction }) => -prediction)],
    ['Overrated most', by(excess, (picture) => excess(picture) > 0)],
    [
      'Underrated most',
      by(
        (picture) => -excess(picture),
        (picture) => excess(picture) < 0,
      ),
    ],
  ];
  const result: Gallery[] = [];
  for (const [title, members] of chosen)
    if (members.length > 0) result.push({ title, pictures: await withThumbnails(members) });
  return result;
}

/** One after the other: a large picture takes hundreds of megabytes while it is decoded. */
async function withThumbnails(pictures: readonly PredictedPicture[]): Promise<Gallery['pictures']> {
  const found: Gallery['pictures'][number][] = [];
  for (const picture of pictures)
    found.push({ ...picture, thumbnail: picture.path === undefined ? null : await thumbnail(picture.path) });
  return found;
}

/**
 * The centre square, which is what the model sees, as a data URL; null if the file cannot be read. It is read as training reads
 * it, within the same limits: where it lies is for a run's files to say, which somebody may have sent.
 */
async function thumbnail(path: string): Promise<string | null> {
  try {
    const { width, height, data } = await decodeImage(await readWhole(path, 'pictureBytes'), path);
    const picture = sharp(data, { raw: { width, height, channels: 3 } });
    const small = picture.resize(side, side, { fit: 'cover' });
    return `data:image/webp;base64,${(await small.webp({ quality: 78 }).toBuffer()).toString('base64')}`;
  } catch {
    return null;
  }
}
