import type { Documented } from './documented-commands.ts';

// What is not run as it is written. Each of these must concern a line of a document, or it is out of date.

/** What isn't run, and why: only its options are compared with the command's help page. */
export const excluded: readonly (readonly [RegExp, string])[] = [
  [/^npx clip-agiqa-webgpu setup/, 'installs a driver; test/setup.test.ts covers it'],
  [/^npm run /, 'installs, or builds the dist/ that this test runs from'],
  [/^node dist\/bench(\.js|\/)/, 'measures for minutes; test/bench.test.ts runs the sections'],
  [/^node dist\/kit\.js/, 'measures for minutes; test/kit.test.ts runs a stage'],
  [
    /\bnode dist\/worker\.js|\/data\/(run|sweep) --queue/,
    "needs a queue's server; the tests of queues start one",
  ],
  [/\bs3:\/\//, 'needs a store; test/shard-s3.test.ts starts one'],
  [/ \/shared\/run/, 'a folder that machines share; test/shard-runs.test.ts has many processes'],
  [/^node dist\/torture\.js/, 'kills processes for minutes; test/faults/ runs in npm test'],
];

/** Text that takes the place of what is written, and why. */
const replaced: readonly (readonly [RegExp, string, string])[] = [
  [/^(npx )?clip-agiqa-webgpu /, 'node dist/clip-agiqa-webgpu.js ', 'the program of the installed package'],
  [/^CLIP_AGIQA_ADAPTER=llvmpipe /, '', 'another machine has another adapter'],
  [/--adapter (4090|1)$/, '--adapter 0', 'another machine has another adapter'],
  [/--epochs (100|200)/, '--epochs 2', 'long; a run here has one epoch'],
  [/--out output\/my-run/, '--out output/other', 'my-run is there, and other lines use it'],
  [/--(resume|model) DIR/, '--$1 output/my-run', 'a run, not the folder of a dataset'],
  [/\.js RUN --top K/, '.js output/my-run --top 3', 'a run and a number'],
  [/(--sweep sweep\.yaml) --out output\/sweep/, '$1 --out output/swept', 'another sweep has the folder'],
  [/AGIQA-3K\/images/, 'AGIQA-3K', 'the images of the fixture lie in the folder itself'],
  [/--data agiqa-3k$/, '--data agiqa-3k --root AGIQA-3K', 'the options that differ, in prose'],
  [
    /--protocols prompt,generator,within/,
    '--protocols prompt --folds 2',
    'needs ten images of each generator',
  ],
  [/--batch-size 256 --chunk-size 64/, '--batch-size 4 --chunk-size 2', 'there are twelve images'],
  [/-profile gpu,/, '-profile ', 'the kernels of GPUs took two minutes on a processor'],
  [/lab\/FAMILY/, 'lab/matmul', 'one of the families'],
  [/--info FILE/, '--info ViT-B-16.pt', 'weights'],
];

const short = ['--epochs 1', '--batch-size 4', '--views 1', '--cache none'];
const tiny = ['--weights ViT-B-16.pt'];

/** What is appended to long runs, where it is not written, to lines of the first pattern that fits. */
const shortened: readonly (readonly [RegExp, readonly string[], string])[] = [
  [/^node dist\/(train|pretrain)\.js --resume/, [], 'a saved run knows its settings'],
  [
    /^node dist\/train\.js --sweep/,
    [...short, ...tiny],
    'as many runs as the sweep has; it goes on by itself',
  ],
  [
    /^node dist\/train\.js (?!.*--(config|help))/,
    [...short, ...tiny, '--overwrite'],
    'as published: 50 to 150 epochs, of a model that demo, score and the presets use here as well',
  ],
  [/^node dist\/(train|demo|clip-agiqa-webgpu)\.js(?! score)/, [...short, '--overwrite'], 'likewise'],
  [
    /^node dist\/pretrain\.js/,
    [
      ...['--epochs 1', '--views 1', '--limit 4', '--batch-size 2', '--chunk-size 1', '--overwrite'],
      ...['--image-size 32', '--patch-size 16', '--embedding 64'],
      ...['--vision-width 64', '--vision-layers 2', '--text-width 64', '--text-layers 1'],
    ],
    'a model of the embedded size trains for an hour on this adapter',
  ],
  [
    /^node dist\/evaluate\.js .*vit_b16_plus/,
    [...short, '--resamples 20', '--layers 1', '--crops 1'],
    'likewise, and the ViT here has two blocks',
  ],
  [/^node dist\/evaluate\.js/, [...short, '--resamples 20'], 'a training per part of the data'],
  [
    /^node dist\/score\.js .*--explain /,
    ['--explain-limit 1'],
    'an explanation takes as long as a hundred scores, and Shapley values five times as long',
  ],
  [
    /^node dist\/step\.js/,
    ['--batch-size 2', '--views 1', '--cache none', ...tiny],
    'a page of every value of the embedded model',
  ],
  [/^node dist\/adapter\.js/, ['--brief'], 'a software adapter compiles the large kernels for seconds'],
  [
    /^node dist\/parity\.js/,
    ['--only tokenizer forward'],
    'one line names the training, too, and the tests of parity run all',
  ],
];

export const isExcluded = (line: string): boolean => excluded.some(([pattern]) => pattern.test(line));

/** A line with what takes the place of some of it. */
export const asReplaced = (line: string): string =>
  replaced.reduce((text, [from, to]) => text.replace(from, to), line);

/** A line as it is run. */
export function asRun(line: string): string {
  const written = asReplaced(line);
  const [, options = []] = shortening(written) ?? [];
  return [written, ...options.filter((option) => !has(written, option))].join(' ');
}

const shortening = (line: string) => shortened.find(([pattern]) => pattern.test(line));
const has = (line: string, option: string) => line.split(' ').includes(option.split(' ')[0]!);

/** The rules that concern no line any more. */
export function outdated(documented: readonly Documented[]): string[] {
  const lines = documented.map(({ line }) => line);
  const run = lines.filter((line) => !isExcluded(line)).map(asReplaced);
  const unused = [
    ...excluded.filter(([pattern]) => !lines.some((line) => pattern.test(line))),
    ...replaced.filter(([pattern]) => !lines.some((line) => pattern.test(line))),
    ...shortened.filter(([pattern, options]) => {
      const concerned = run.filter((line) => shortening(line)?.[0] === pattern);
      const needed = (option: string) => concerned.some((line) => !has(line, option));
      return concerned.length === 0 || !options.every(needed);
    }),
  ];
  return unused.map(([pattern]) => String(pattern));
}
