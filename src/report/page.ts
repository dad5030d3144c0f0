import { relative, sep } from 'node:path';
import { figureText } from '../common/figure-text.ts';
import { commandLine } from '../common/invocation.ts';
import { groupingOf } from '../data/datasets/index.ts';
import type { Metrics } from '../data/metrics/evaluation.ts';
import type { RunSummary } from '../training/run.ts';
import { defaultSettings, type SettingName, settingNames } from '../training/settings.ts';
import { doubtSection } from './doubt-section.ts';
import { lossChart, rateChart, srccChart } from './epoch-charts.ts';
import type { Gallery, ShownImage } from './gallery.ts';
import { card, duration, facts, htmlPage, section, table, text } from './html.ts';
import type { RunFiles } from './run-files.ts';
import { groupChart, residualChart, scatterChart } from './test-charts.ts';

/** The most groups a chart and a table stay readable with. */
const mostGroups = 24;

/** A run as one HTML page that needs nothing beside itself: no network, no script. */
export function reportPage(run: RunFiles, galleries: readonly Gallery[]): string {
  const { summary } = run;
  const title = `${summary.settings.trainer} on ${summary.settings.data}`;
  const body = [
    header(title, summary),
    figures(summary),
    `<main class="cards">${charts(run).join('\n')}</main>`,
    metricsTable(summary),
    doubtSection(summary),
    images(run, galleries),
    predictionsTable(run),
    settingsTable(summary),
    files(),
  ];
  return htmlPage(title, body);
}

function header(title: string, summary: RunSummary): string {
  const { settings, mos, adapter, images, epochs, finalEpoch, seconds, folder, finished, versions, classes } =
    summary;
  const entries: (readonly [string, string])[] = [
    classes
      ? ['classes', `${mos.target}: ${classes.length}`]
      : ['score', `${mos.target}, MOS ${figureText(mos.range[0], 2)} to ${figureText(mos.range[1], 2)}`],
    ['images', `${images.train} train, ${images.val} validation, ${images.test} test`],
    ['weights', settings.weights],
    ['epochs', epochs === 0 ? 'none (zero-shot)' : epochsText(epochs, finalEpoch)],
    ['prompts', promptsText(settings)],
    ['seed', String(settings.seed)],
    ['time', duration(seconds)],
    ...(finished ? [['finished', `${finished.slice(0, 16).replace('T', ' ')} UTC`] as const] : []),
    ['adapter', adapter.replace(/-$/, '')],
    ...(versions
      ? [
          [
            'versions',
            Object.entries(versions)
              .map((entry) => entry.join(' '))
              .join(', '),
          ] as const,
        ]
      : []),
    ['folder', folder],
  ];
  return `<header><h1>${text(title)}</h1>${facts(entries)}</header>`;
}

/** Where another epoch than the last was kept, which. */
const epochsText = (epochs: number, kept: number): string =>
  kept === epochs ? String(epochs) : `${epochs}, the parameters of epoch ${kept} kept`;

/** What the text tower reads, as far as the settings say. */
function promptsText({
  trainer,
  nCtx,
  ctxInit,
  position,
  classSpecific,
  template,
  scoreBy,
  words,
}: RunSummary['settings']): string {
  if (trainer === 'image-only') return 'none';
  if (trainer === 'zero-shot')
    return scoreBy === 'antonyms' ? 'Good photo. / Bad photo.' : `${template} (${words || 'quality words'})`;
  const context = ctxInit ? `from "${ctxInit}"` : `${nCtx} vectors`;
  const learned = trainer === 'linear' ? 'fixed' : 'learned';
  return `${context}, ${learned}${classSpecific ? ', of each word its own' : ''}; ${words || 'quality word'} at the ${position}`;
}

/** The figures people ask for first. */
function figures({ test, before, accuracy, classes }: RunSummary): string {
  if (!test && accuracy === null)
    return '<p class="note">There is no test set, so nothing was evaluated.</p>';
  const tile = (name: string, value: string, detail: string) =>
    `<div class="tile"><span>${name}</span><strong>${value}</strong><small>${detail}</small></div>`;
  const names = test ? (['srcc', 'plcc', 'krcc', 'rmse'] as const) : [];
  const metrics = names.map((name) => {
    const interval = test?.intervals?.[name];
    const range = interval ? `95 %: ${figureText(interval[0], 3)} – ${figureText(interval[1], 3)}` : '';
    const untrained = before ? `untrained ${figureText(before[name], 3)}` : '';
    return tile(
      name.toUpperCase(),
      figureText(test?.overall[name], 4),
      [range, untrained].filter(Boolean).join('<br>'),
    );
  });
  if (accuracy !== null)
    metrics.push(
      tile(
        'accuracy',
        `${(100 * accuracy).toFixed(1)} %`,
        classes ? `of ${classes.length} classes` : 'of the quality classes',
      ),
    );
  return `<section class="tiles" aria-label="Metrics on the test set">${metrics.join('')}</section>`;
}

function charts({ summary, records, predictions }: RunFiles): string[] {
  const { settings, test } = summary;
  const cards: string[] = [];
  if (records.length > 0)
    cards.push(
      card(
        'Loss',
        lossChart(records, settings),
        'Mean over the training steps of each epoch, dropout included.',
      ),
    );
  const srcc = records.length > 0 && srccChart(records, summary.finalEpoch);
  if (srcc)
    cards.push(
      card(
        'Rank correlation',
        srcc,
        "Spearman's, after each epoch; the test set is never used to select a model.",
      ),
    );
  if (records.length > 1)
    cards.push(
      card('Learning rate', rateChart(records), `Of each epoch, by ${settings.optimizer.toUpperCase()}.`),
    );
  if (predictions.length > 1) {
    const { svg, shown } = scatterChart(predictions, summary.mos.target);
    const some = shown < predictions.length ? `${shown} of ${predictions.length}` : `${shown}`;
    const { plcc4, rmse4 } = test!.logistic;
    cards.push(
      card(
        'Predicted against MOS',
        svg,
        `${some} test images; hover over a point for its name, or open the table of predictions below. After the four-parameter logistic: PLCC ${figureText(plcc4)}, RMSE ${figureText(rmse4)}.`,
      ),
    );
  }
  if (predictions.length > 1)
    cards.push(
      card(
        'Residuals',
        residualChart(predictions),
        'Prediction less MOS: right of the dashed line the model overrates, left of it it underrates.',
      ),
    );
  const { groups, count } = largestGroups(summary);
  const grouping = groupingOf(summary);
  if (groups.length > 1)
    cards.push(
      card(
        `Error by ${grouping}`,
        groupChart(groups, test!.overall, grouping),
        groups.length < count ? `The ${groups.length} with most images, of ${count}.` : '',
      ),
    );
  return cards;
}

/** The metrics of the largest groups, by name, and how many there are in all. */
function largestGroups({ test }: RunSummary): { groups: [string, Metrics][]; count: number } {
  const all = Object.entries(test?.byGroup ?? {}).filter(([name]) => name !== '');
  const largest = [...all].sort(([, a], [, b]) => b.n - a.n).slice(0, mostGroups);
  return { groups: all.filter((group) => largest.includes(group)), count: all.length };
}

function classesTable(classes: NonNullable<RunSummary['classes']>): string {
  const rows = classes.map(({ name, n, accuracy }): [string, string[]] => [
    name,
    [String(n), accuracy === null ? '—' : `${(100 * accuracy).toFixed(1)} %`],
  ]);
  return section('Classes of the test set', table(['', 'n', 'accuracy'], rows, 'Classes of the test set'));
}

function metricsTable(summary: RunSummary): string {
  const { test, before, readings, classes } = summary;
  if (classes) return classesTable(classes);
  if (!test) return '';
  const cells = ({ n, srcc, plcc, krcc, rmse, mae }: Metrics) => [
    String(n),
    ...[srcc, plcc, krcc, rmse, mae].map((value) => figureText(value)),
  ];
  const { plcc4, rmse4, plcc5, rmse5 } = test.logistic;
  const rows: [string, string[]][] = [
    ...largestGroups(summary).groups.map(([name, metrics]): [string, string[]] => [name, cells(metrics)]),
    ['all', cells(test.overall)],
    ['after the 4-parameter logistic fit', ['', '', figureText(plcc4), '', figureText(rmse4), '']],
    ['after the 5-parameter logistic fit', ['', '', figureText(plcc5), '', figureText(rmse5), '']],
  ];
  for (const [name, metrics] of Object.entries(readings ?? {}))
    if (metrics) rows.push([`scored by ${name}`, cells(metrics)]);
  if (before) rows.push(['before training', cells(before)]);
  return section(
    'Metrics on the test set',
    table(['', 'n', 'SRCC', 'PLCC', 'KRCC', 'RMSE', 'MAE'], rows, 'Metrics on the test set'),
  );
}

const relevanceNote =
  '<p>Below each image, in blue what speaks for a higher prediction, and in vermilion what speaks for a lower one (gradient-weighted relevance).</p>';

function images({ summary, imagesMissing }: RunFiles, galleries: readonly Gallery[]): string {
  const notes = [
    imagesMissing &&
      `The images cannot be shown: ${imagesMissing}. Pass their folder: ${commandLine('report')} ${summary.folder} --root DIR.`,
    summary.unreadable.length > 0 && `Skipped as unreadable: ${summary.unreadable.join(', ')}.`,
    summary.missing.length > 0 && `Listed but missing: ${summary.missing.join(', ')}.`,
  ].filter((note) => typeof note === 'string');
  const rows = galleries.map(
    ({ title, images }) =>
      `<h3>${text(title)}</h3><div class="gallery">${images.map((image) => tile(image, summary.folder)).join('')}</div>`,
  );
  const explained = galleries.some(({ images }) => images.some(({ relevance }) => relevance !== undefined));
  const content = [
    ...notes.map((note) => `<p class="note">${text(note)}</p>`),
    explained ? relevanceNote : '',
    ...rows,
  ]
    .filter((part) => part !== '')
    .join('\n');
  return content === '' ? '' : section('Images', content);
}

function tile({ name, mos, prediction, thumbnail, relevance, path }: ShownImage, folder: string): string {
  const image = thumbnail
    ? `<img src="${thumbnail}" alt="" width="144" height="144">`
    : '<div class="absent">missing</div>';
  const why = relevance ? `<img src="${relevance}" alt="relevance" width="144" height="144">` : '';
  return `<figure>${image}${why}<figcaption><b>${figureText(prediction, 2)}</b> <span>MOS ${figureText(mos, 2)}</span><small title="${text(name)}">${imageLink(name, path, folder)}</small></figcaption></figure>`;
}

/** Predictions listed at most: those with the largest errors, since a page of more than these is slow. */
const mostListed = 1000;

/** Every test image with its score and prediction, the largest error first, for those who do not point with a mouse. */
function predictionsTable({ summary, predictions }: RunFiles): string {
  if (predictions.length === 0) return '';
  const error = ({ prediction, mos }: RunFiles['predictions'][number]) => Math.abs(prediction - mos);
  const listed = [...predictions].sort((a, b) => error(b) - error(a)).slice(0, mostListed);
  const rows = listed.map(({ name, mos, prediction, path }) => {
    const figures = [mos, prediction, prediction - mos].map((value) => `<td>${figureText(value, 3)}</td>`);
    return `<tr><th scope="row">${imageLink(name, path, summary.folder)}</th>${figures.join('')}</tr>`;
  });
  const which =
    listed.length < predictions.length ? `${listed.length} of ${predictions.length}` : listed.length;
  return section(
    'Predictions',
    `<details><summary>${which} test images, the largest error first</summary><div class="scroll" tabindex="0" role="region" aria-label="Predictions"><table><thead><tr><th scope="col">image</th><th scope="col">MOS</th><th scope="col">predicted</th><th scope="col">difference</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`,
  );
}

/** An image's name, as a link to its file if it is there; relative to the page, so that both can move together. */
function imageLink(name: string, path: string | undefined, folder: string): string {
  if (path === undefined) return text(name);
  const steps = relative(folder, path).split(sep).map(encodeURIComponent);
  return `<a href="${steps.join('/').replaceAll('%2E%2E', '..')}">${text(name)}</a>`;
}

function settingsTable({ settings }: RunSummary): string {
  const defaults = defaultSettings();
  const value = (name: SettingName) => (settings[name] === '' ? '—' : String(settings[name]));
  const row = (name: SettingName) => {
    const changed = settings[name] !== defaults[name];
    return `<tr${changed ? ' class="changed"' : ''}><th scope="row">${name}</th><td>${text(value(name))}</td></tr>`;
  };
  const changed = settingNames.filter((name) => settings[name] !== defaults[name]);
  const rest = settingNames.filter((name) => settings[name] === defaults[name]);
  const list = (names: readonly SettingName[]) =>
    `<div class="scroll"><table class="settings"><tbody>${names.map(row).join('')}</tbody></table></div>`;
  return section(
    'Configuration',
    `${changed.length > 0 ? list(changed) : ''}<details><summary>${rest.length} settings at their defaults</summary>${list(rest)}</details>`,
  );
}

const files = () =>
  '<footer>Next to this page: <code>config.yaml</code>, <code>split.csv</code>, <code>metrics.jsonl</code>, <code>predictions.csv</code>, <code>summary.json</code>, <code>model.safetensors</code>.</footer>';
