// Makes dist/web/, the pages as a static folder that any server can offer: npm run web. What it takes of a model is cut down: of the
// token table only the rows of the quality words.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { loadTokenizer, openTensorFile, writeSafetensors } from '../dist/index.js';
import { inBrowser } from './browser-bundles.mjs';
import { writeLessons } from './web-lessons.mjs';
import { sourcesOf } from './web-sources.mjs';

const out = 'dist/web';
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'data'), { recursive: true });

await build({ ...inBrowser, entryPoints: { page: 'src/web/page/main.ts' }, outdir: out });
// What records a step is a file of its own, loaded once somebody asks for it.
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const { outputFiles } = await build({
  ...inBrowser,
  entryPoints: { worker: 'src/web/worker/main.ts' },
  outdir: out,
  splitting: true,
  chunkNames: 'engine-[hash]',
  sourcemap: 'external',
  define: { packageVersion: JSON.stringify(version) },
  write: false,
});
for (const { path, contents } of outputFiles) if (!path.endsWith('.map')) writeFileSync(path, contents);
const maps = outputFiles.filter(({ path }) => path.endsWith('.js.map'));
writeFileSync(join(out, 'data/sources.json.gz'), gzipSync(sourcesOf(maps), { level: 9 }));
for (const name of ['step-page.js', 'step-page.css']) copyFileSync(join('dist', name), join(out, name));
await build({
  ...inBrowser,
  entryPoints: { page: 'src/web/page/style.css', lessons: 'src/web/page/lessons.css' },
  outdir: out,
});
writeLessons(join(out, 'lessons'));
for (const name of ['index.html', 'step.html', 'icon.svg']) copyFileSync(join('site', name), join(out, name));
cpSync('site/examples', join(out, 'data/examples'), { recursive: true });
copyFileSync('site/examples.json', join(out, 'data/examples.json'));
copyFileSync('site/rated.safetensors', join(out, 'data/rated.safetensors'));
copyFileSync('models/small-clip-quality.safetensors', join(out, 'data/quality.safetensors'));

// The CLIP with the rows of its token table that the prompts use, and what each text then is.
const source = await openTensorFile('models/small-clip.safetensors');
const tokenizer = await loadTokenizer();
const texts = ['terrible', 'bad', 'poor', 'average', 'good', 'perfect', '.'];
const used = new Set([
  tokenizer.startToken,
  tokenizer.endToken,
  ...texts.flatMap((text) => tokenizer.encode(text)),
]);
const ids = [...used].sort((a, b) => a - b); // [EOT] stays the largest
const tensors = new Map();
for (const [name, { dtype, shape }] of source.tensors) {
  const bytes = await source.readRaw(name);
  if (name !== 'token_embedding.weight') tensors.set(name, { dtype, shape, data: bytes });
  else {
    const row = bytes.length / shape[0];
    const rows = Buffer.concat(ids.map((id) => bytes.subarray(id * row, (id + 1) * row)));
    tensors.set(name, { dtype, shape: [ids.length, ...shape.slice(1)], data: rows });
  }
}
await writeSafetensors(join(out, 'data/clip.safetensors'), tensors, source.metadata);
await source.close();
const idOf = (id) => ids.indexOf(id);
const vocabulary = {
  size: ids.length,
  start: idOf(tokenizer.startToken),
  end: idOf(tokenizer.endToken),
  texts: Object.fromEntries(texts.map((text) => [text, tokenizer.encode(text).map(idOf)])),
};
writeFileSync(join(out, 'data/vocabulary.json'), JSON.stringify(vocabulary));

// The ratings as a histogram and percentiles; the error is that of the model card.
const rated = await openTensorFile('site/rated.safetensors');
const mos = [...(await rated.read('mos'))].sort((a, b) => a - b);
await rated.close();
const [bins, binWidth] = [40, 0.125];
const counts = new Array(bins).fill(0);
for (const value of mos) counts[Math.min(bins - 1, Math.floor(value / binWidth))]++;
const percentiles = Array.from({ length: 101 }, (_, i) => mos[Math.round((i / 100) * (mos.length - 1))]);
const card = readFileSync('models/README.md', 'utf8');
const rmse = Number(/^\| this model \|.*\| ([\d.]+) \([\d.]+ to [\d.]+\) \|$/m.exec(card)?.[1]);
const images = Number(/^(\d+) test images of the published split, 95% intervals/m.exec(card)?.[1]);
if (!(rmse > 0 && images > 0))
  throw new Error('models/README.md has no error of the quality model where it was');
const summary = { count: mos.length, bins: counts, binWidth, percentiles, error: { rmse, images } };
writeFileSync(join(out, 'data/rated.json'), JSON.stringify(summary));

const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
console.log(
  `${out}: ${files.length} files, ${(bytes / 1e6).toFixed(2)} MB; serve it as it is, e.g. npx serve ${out}`,
);
