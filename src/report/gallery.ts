import sharp from 'sharp';
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
    if (members.length > 0) result.push({ title, pictures: await Promise.all(members.map(withThumbnail)) });
  return result;
}

async function withThumbnail(picture: PredictedPicture): Promise<Gallery['pictures'][number]> {
  return { ...picture, thumbnail: picture.path === undefined ? null : await thumbnail(picture.path) };
}

/** The centre square, which is what the model sees, as a data URL; null if the file cannot be read. */
async function thumbnail(path: string): Promise<string | null> {
  try {
    const small = sharp(path).flatten({ background: '#fff' }).resize(side, side, { fit: 'cover' });
    return `data:image/webp;base64,${(await small.webp({ quality: 78 }).toBuffer()).toString('base64')}`;
  } catch {
    return null;
  }
}
