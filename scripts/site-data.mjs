// Makes what the pages show of AGIQA-3K and npm run web cannot make without it: site/rated.safetensors, the features of its images
// by the embedded model with their scores, and site/examples/, six images of its test set with what they score in Node.
//   npm run build && node scripts/site-data.mjs --root AGIQA-3K
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { ClipEncoder, openDataset, openGpu, Scorer, writeSafetensors } from '../dist/index.js';

const { values } = parseArgs({ options: { root: { type: 'string' } } });
if (!values.root) throw new Error('Pass --root AGIQA-3K.');

const { samples, split } = await openDataset({ name: 'agiqa-3k', root: values.root });
const gpu = await openGpu();
const { outputFiles } = await build({
  entryPoints: ['src/data/formats/float16.ts'],
  format: 'esm',
  write: false,
});
const { float32ToFloat16 } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
const encoder = await ClipEncoder.load(gpu);
const width = 128;
const halves = new Uint16Array(samples.length * width);
let at = 0;
for await (const { feature, error } of encoder.encodeImages(samples.map(({ path }) => path))) {
  if (error) throw new Error(error);
  halves.set(float32ToFloat16(feature), width * at++);
}
await encoder.close();
const test = new Uint8Array(samples.length);
for (const sample of split.test) test[sample] = 1;
await writeSafetensors('site/rated.safetensors', {
  features: { dtype: 'F16', shape: [samples.length, width], data: halves },
  mos: { dtype: 'F32', shape: [samples.length], data: Float32Array.from(samples, ({ mos }) => mos) },
  test: { dtype: 'U8', shape: [samples.length], data: test },
});

// One of each generator, small files, over the whole range of scores.
const generators = ['midjourney', 'sd1.5', 'DALLE2', 'xl2.2', 'glide', 'AttnGAN'];
const wanted = [3.6, 2.1, 2.6, 2.9, 1.4, 3.2];
const scorer = await Scorer.load(gpu, 'embedded');
mkdirSync('site/examples', { recursive: true });
const chosen = [];
for (const [i, generator] of generators.entries()) {
  const of = [...split.test]
    .map((sample) => samples[sample])
    .filter(({ name }) => name.toLowerCase().startsWith(generator.toLowerCase()))
    .filter(({ path }) => statSync(path).size < 60_000)
    .sort((a, b) => Math.abs(a.mos - wanted[i]) - Math.abs(b.mos - wanted[i]));
  const { path, mos } = of[0] ?? {};
  if (!path) continue;
  copyFileSync(path, join('site/examples', basename(path)));
  chosen.push({
    file: basename(path),
    name: basename(path, '.jpg').replaceAll('_', ' '),
    mos: Number(mos.toFixed(3)),
  });
}
for await (const { index, score } of scorer.score(chosen.map(({ file }) => join('site/examples', file))))
  chosen[index].score = score;
writeFileSync('site/examples.json', `${JSON.stringify(chosen, null, 1)}\n`);
console.log(chosen, readFileSync('site/rated.safetensors').length);
await scorer.close();
gpu.close();
