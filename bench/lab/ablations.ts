/** What each setting of clip-agiqa-plus brings, alone and left out: trains the models of a study by the protocols of evaluate, and writes the tables. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { watchInterrupts } from '../../src/cli/interrupt.ts';
import { startGpu, terminal } from '../../src/cli/start.ts';
import { UserError } from '../../src/common/errors.ts';
import { prepareFolder, writeOutput } from '../../src/common/files.ts';
import { readJson } from '../../src/common/json-file.ts';
import { evaluateSettings } from '../../src/evaluation/evaluation.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { parseSeeds } from '../../src/training/seeds.ts';
import { applySettings, defaultSettings } from '../../src/training/settings.ts';
import {
  type AblationResults,
  ablationDocument,
  ablationFolder,
  ablationSchema,
  ablationTable,
  keptFigures,
  type StudyName,
  studies,
  studyNames,
  trialsOf,
  withAblations,
} from '../ablations.ts';

const command = createCommand(
  'bench/lab/ablations',
  'Trains a model with each setting alone and with all but it, by the protocols of evaluate. Stopped, the same command continues. --page writes the tables of docs/quality.md from what is kept in bench/results/ablations.',
  [
    'node dist/bench/lab/ablations.js embedded --root AGIQA-3K',
    'node dist/bench/lab/ablations.js deit-tiny --root AGIQA-3K --weights deit-tiny/ --only plain,all',
    'node dist/bench/lab/ablations.js --page',
  ],
)
  .argument('[study]', studyNames.join(' or '))
  .option('--root <dir>', 'folder of AGIQA-3K')
  .option('--weights <path>', 'weights of the image tower, where the package has none')
  .option('--seeds <list>', 'seeds of the training', '1,2,3')
  .option('--protocols <list>', 'as those of evaluate', 'published,prompt,generator,within')
  .option('--only <ids>', 'some of the models; those that they are compared with are trained as well')
  .option('--out <dir>', 'folder of the evaluations', join('output', 'ablations'))
  .option('--results <dir>', 'folder of the figures', ablationFolder)
  .option('--document <file>', 'with --page: the document', ablationDocument)
  .option('--page', 'only write the tables');

interface Options {
  root?: string;
  weights?: string;
  seeds: string;
  protocols: string;
  only?: string;
  out: string;
  results: string;
  document: string;
  page?: boolean;
}

await runCommand<Options & Record<string, unknown>>(command, async (options, [name]) => {
  if (options.page) return page(options);
  if (!studyNames.includes(name as StudyName))
    throw new UserError(`name a study: ${studyNames.join(' or ')}`, 'For example, embedded --root AGIQA-3K.');
  await train(name as StudyName, options);
});

function fileOf(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

async function train(name: StudyName, options: Options): Promise<void> {
  if (options.root === undefined) throw new UserError('--root is missing', 'Name the folder of AGIQA-3K.');
  const signal = watchInterrupts();
  const trials = chosenTrials(name, options.only);
  const seeds = parseSeeds(options.seeds);
  const file = fileOf(options.results, name);
  let results: AblationResults = existsSync(file)
    ? await readJson(file, ablationSchema, 'Remove it, or choose another --results.')
    : { adapter: '', seeds, trials: {} };
  if (results.seeds.join() !== seeds.join())
    throw new UserError(
      `${file} has the seeds ${results.seeds.join()}`,
      'Give the same --seeds, or another --results.',
    );
  prepareFolder(options.results);
  const folderOf = (id: string) => join(options.out, name, id);
  let gpu: Gpu | undefined;
  try {
    for (const [i, { id, name: what, changes, against }] of trials.entries()) {
      terminal.line(`\n${i + 1} of ${trials.length}: ${what}`);
      const given = { ...changes, root: options.root, out: folderOf(id) };
      const weights = options.weights === undefined ? {} : { weights: options.weights };
      const found = await evaluateSettings(
        applySettings(defaultSettings(), { ...given, ...weights }, id),
        { protocols: options.protocols, folds: 5, seeds, shots: [1], generators: 'whole' },
        {
          openGpu: async () => (gpu ??= await startGpu(terminal)),
          reporter: terminal,
          signal,
          ...(against !== null && { against: folderOf(against) }),
        },
      );
      results = {
        ...results,
        adapter: found.adapters.join(', '),
        trials: {
          ...results.trials,
          [id]: {
            srcc: keptFigures(found.rows),
            above: found.paired && keptFigures(found.paired.rows),
            seconds: Math.round(found.seconds),
          },
        },
      };
      await writeOutput(file, `${JSON.stringify(results, null, 2)}\n`);
    }
  } finally {
    gpu?.close();
  }
}

/** The models that are asked for, and those they are compared with. */
function chosenTrials(name: StudyName, only: string | undefined) {
  const all = trialsOf(studies[name]);
  if (only === undefined) return all;
  const wanted = new Set(only.split(',').map((id) => id.trim()));
  const unknown = [...wanted].filter((id) => !all.some((trial) => trial.id === id));
  if (unknown.length > 0)
    throw new UserError(
      `${name} has no model ${unknown.join(', ')}`,
      `It has ${all.map(({ id }) => id).join(', ')}.`,
    );
  for (const { id, against } of all) if (against !== null && wanted.has(id)) wanted.add(against);
  return all.filter(({ id }) => wanted.has(id));
}

async function page({ results, document }: Options): Promise<void> {
  let text = readFileSync(document, 'utf8');
  for (const name of studyNames) {
    const file = fileOf(results, name);
    if (existsSync(file))
      text = withAblations(text, name, ablationTable(studies[name], await readJson(file, ablationSchema)));
  }
  await writeOutput(document, text);
}
