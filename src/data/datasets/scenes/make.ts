import { stringify } from 'csv-stringify/sync';
import sharp from 'sharp';
import { streams } from '../../../common/random.ts';
import type { Reporter } from '../../../common/reporter.ts';
import { distortionNames, distortions } from '../../images/distort.ts';
import { Dice, drawScene, sceneKinds } from './draw.ts';
import { SceneFolder } from './folder.ts';

export interface SceneOptions {
  /** Different scenes; every fifth is kept for the test part. */
  readonly scenes: number;
  /** Images of each scene: one as drawn, the others distorted. */
  readonly versions: number;
  /** Side in pixels. */
  readonly size: number;
  readonly seed: number;
}

export const standardScenes: SceneOptions = { scenes: 240, versions: 5, size: 224, seed: 7 };

/** The score scale: an image as drawn has the highest, a ruined one the lowest. */
const best = 5;
const worst = 1;

/** Who is informed that scenes are drawn, and can stop it. */
export interface Drawing {
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Draws scenes and distorts them at known levels: PNG images and a `data.csv` (name, mos, split, prompt) in `folder`.
 * A scene with all its versions is in one part, so that the test asks for quality, not for a scene seen before.
 *
 * The folder must be absent or empty, and appears whole. Where another process draws into it at the same time, the first to
 * finish gives it its contents.
 *
 * @throws UserError if the folder holds anything, or cannot be written
 */
export async function makeScenes(
  folder: string,
  options: SceneOptions = standardScenes,
  drawing?: Drawing,
): Promise<void> {
  const { scenes, versions } = options;
  const place = new SceneFolder(folder);
  const bar = drawing?.reporter.bar('generating scenes', scenes * versions);
  try {
    const rows: string[][] = [];
    for await (const { image, row } of drawnScenes(options)) {
      drawing?.signal?.throwIfAborted();
      place.write(row[0]!, image);
      rows.push(row);
      bar?.advance();
    }
    place.write('data.csv', Buffer.from(stringify([[...sceneColumns], ...rows])));
    place.commit();
  } finally {
    bar?.stop();
    place.abandon();
  }
}

/** The columns of `data.csv`. */
export const sceneColumns = ['name', 'mos', 'split', 'prompt'] as const;

async function* drawnScenes({ scenes, versions, size, seed }: SceneOptions) {
  for (let scene = 0; scene < scenes; scene++) {
    const dice = new Dice(seed, streams.scene + scene);
    const kind = sceneKinds[scene % sceneKinds.length]!;
    const svg = Buffer.from(drawScene(kind, size, dice));
    const drawn = {
      data: await sharp(svg).removeAlpha().toColourspace('srgb').raw().toBuffer(),
      width: size,
      height: size,
    };
    for (let version = 0; version < versions; version++) {
      const name = version === 0 ? 'clean' : dice.pick(distortionNames);
      const severity = version === 0 ? 0 : dice.range(0, 1);
      const made =
        version === 0 ? drawn : await distortions[name]!(drawn, severity, seed * 1000 + scene * 10 + version);
      const image = await sharp(made.data, { raw: { width: size, height: size, channels: 3 } })
        .png({ compressionLevel: 6 })
        .toBuffer();
      const mos = version === 0 ? best : best - 0.5 - (best - 0.5 - worst) * severity;
      const file = `${kind}_${String(scene).padStart(3, '0')}_${version}_${name}.png`;
      const part = scene % 5 === 4 ? 'test' : 'train';
      yield { image, row: [file, mos.toFixed(3), part, `${kind} (${name} ${severity.toFixed(2)})`] };
    }
  }
}
