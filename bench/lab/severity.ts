// Whether damage costs score: rank correlation of a model's score and the severity of JPEG, blur and noise within each image. node dist/bench/lab/severity.js
// IMAGES… [--model PATH]. Images are distorted whole, at five levels, as if each were a file of its own.
import { parseArgs } from 'node:util';

const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;

import { readFileSync } from 'node:fs';
import { decodeImage } from '../../src/data/images/decode.ts';
import { distort } from '../../src/data/images/distort.ts';
import { srcc } from '../../src/data/metrics/correlation.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { findImages } from '../../src/scoring/images.ts';
import { Scorer } from '../../src/scoring/scorer.ts';

/** As `distort` counts severity: JPEG of quality 80 to 10, blur of 0.5 to 5 pixels, noise of 5 to 50 levels. */
const levels: Readonly<Record<string, readonly number[]>> = {
  blur: [-0.074, 0.208, 0.49, 0.655, 0.863],
  noise: [-0.07, 0.197, 0.465, 0.68, 0.82],
  jpeg: [-0.23, -0.135, 0, 0.231, 0.463],
};

const { values, positionals } = parseArgs({
  options: { model: { type: 'string', default: 'embedded' } },
  allowPositionals: true,
});
const { paths } = await findImages(positionals);
const gpu = await openGpu();
const scorer = await Scorer.load(gpu, values.model);
const found = new Map<string, number[]>();
for (const path of paths) {
  const image = await decodeImage(readFileSync(path), path);
  for (const [name, severities] of Object.entries(levels)) {
    const versions = await Promise.all(
      severities.map(async (severity) => ({
        ...(await distort(image, { name, severity, seed: 7 })),
        channels: 3 as const,
      })),
    );
    const scores: number[] = [];
    for await (const result of scorer.score(versions))
      scores.push('score' in result ? result.score : Number.NaN);
    const agreement = -srcc(scores, [...severities]);
    found.set(name, [...(found.get(name) ?? []), agreement]);
  }
}
for (const [name, agreements] of found)
  console.log(
    `${name.padEnd(6)} mean rank correlation ${mean(agreements).toFixed(3)} of ${agreements.length} images`,
  );
await scorer.close();
gpu.close();
