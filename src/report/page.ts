import { figureText } from '../common/figure-text.ts';
import type { Metrics } from '../data/metrics/evaluation.ts';
import type { RunSummary } from '../training/run.ts';
import { defaultSettings, type SettingName, settingNames } from '../training/settings.ts';
import { groupChart, lossChart, scatterChart, srccChart } from './charts.ts';
import type { Gallery } from './gallery.ts';
import { card, duration, facts, htmlPage, section, table, text } from './html.ts';
import type { RunFiles } from './run-files.ts';

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
    images(run, galleries),
    settingsTable(summary),
    files(),
  ];
  return htmlPage(title, body);
}

function header(
  title: string,
  { settings, mos, adapter, images, epochs, finalEpoch, seconds, folder }: RunSummary,
): string {
  const entries: [string, string][] = [
    ['score', `${mos.target}, MOS ${figureText(mos.range[0], 2)} to ${figureText(mos.range[1], 2)}`],
    ['images', `${images.train} train, ${images.val} validation, ${images.test} test`],
    ['weights', settings.weights],
    ['epochs', epochs === 0 ? 'none (zero-shot)' : `${epochs}, kept: ${finalEpoch}`],
    ['seed', String(settings.seed)],
    ['time', duration(seconds)],
    ['adapter', adapter],
    ['folder', folder],
  ];
  return `<header><h1>${text(title)}</h1>${facts(entries)}</header>`;
}

/** The figures people ask for first. */
function figures({ test, before, accuracy }: RunSummary): string {
  if (!test) return '<p class="note">There is no test set, so nothing was evaluated.</p>';
  const tile = (name: string, value: string, detail: string) =>
    `<div class="tile"><span>${name}</span><strong>${value}</strong><small>${detail}</small></div>`;
  const metrics = (['srcc', 'plcc', 'krcc', 'rmse'] as const).map((name) => {
    const interval = test.intervals?.[name];
    const range = interval ? `95 %: ${figureText(interval[0], 3)} – ${figureText(interval[1], 3)}` : '';
    const untrained = before ? `untrained ${figureText(before[name], 3)}` : '';
    return tile(
      name.toUpperCase(),
      figureText(test.overall[name], 4),
      [range, untrained].filter(Boolean).join('<br>'),
    );
  });
  if (accuracy !== null)
    metrics.push(tile('accuracy', `${(100 * accuracy).toFixed(1)} %`, 'of the quality classes'));
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
  if (predictions.length > 1) {
    const { svg, shown } = scatterChart(predictions, summary.mos.target);
    const some = shown < predictions.length ? `${shown} of ${predictions.length}` : `${shown}`;
    const { plcc4, rmse4 } = test!.logistic;
    cards.push(
      card(
        'Predicted against MOS',
        svg,
        `${some} test images; hover over a point for its name. After the four-parameter logistic: PLCC ${figureText(plcc4)}, RMSE ${figureText(rmse4)}.`,
      ),
    );
  }
  const { groups, count } = generators(summary);
  if (groups.length > 1) {
    const which =
      groups.length < count ? `The ${groups.length} largest of ${count} generators` : 'Generators';
    cards.push(
      card(
        'Error by generator',
        groupChart(groups, test!.overall),
        `${which}, by the part of the image's name before the first underscore.`,
      ),
    );
  }
  return cards;
}

/** The metrics of the largest groups, by name, and how many there are in all. */
function generators({ test }: RunSummary): { groups: [string, Metrics][]; count: number } {
  const all = Object.entries(test?.byGroup ?? {}).filter(([name]) => name !== '');
  const largest = [...all].sort(([, a], [, b]) => b.n - a.n).slice(0, mostGroups);
  return { groups: all.filter((group) => largest.includes(group)), count: all.length };
}

function metricsTable(summary: RunSummary): string {
  const { test, before, readings } = summary;
  if (!test) return '';
  const cells = ({ n, srcc, plcc, krcc, rmse, mae }: Metrics) => [
    String(n),
    ...[srcc, plcc, krcc, rmse, mae].map((value) => figureText(value)),
  ];
  const { plcc4, rmse4, plcc5, rmse5 } = test.logistic;
  const rows: [string, string[]][] = [
    ...generators(summary).groups.map(([name, metrics]): [string, string[]] => [name, cells(metrics)]),
    ['all', cells(test.overall)],
    ['after the 4-parameter logistic fit', ['', '', figureText(plcc4), '', figureText(rmse4), '']],
    ['after the 5-parameter logistic fit', ['', '', figureText(plcc5), '', figureText(rmse5), '']],
  ];
  for (const [name, metrics] of Object.entries(readings ?? {}))
    if (metrics) rows.push([`scored by ${name}`, cells(metrics)]);
  if (before) rows.push(['before training', cells(before)]);
  return section('Metrics on the test set', table(['', 'n', 'SRCC', 'PLCC', 'KRCC', 'RMSE', 'MAE'], rows));
}

function images({ summary, imagesMissing }: RunFiles, galleries: readonly Gallery[]): string {
  const notes = [
    imagesMissing &&
      `The images cannot be shown: ${imagesMissing}. Pass their folder: node dist/report.js ${summary.folder} --root DIR.`,
    summary.unreadable.length > 0 && `Skipped as unreadable: ${summary.unreadable.join(', ')}.`,
    summary.missing.length > 0 && `Listed but missing: ${summary.missing.join(', ')}.`,
  ].filter((note) => typeof note === 'string');
  const rows = galleries.map(
    ({ title, images }) => `<h3>${text(title)}</h3><div class="gallery">${images.map(tile).join('')}</div>`,
  );
  const content = [...notes.map((note) => `<p class="note">${text(note)}</p>`), ...rows].join('\n');
  return content === '' ? '' : section('Images', content);
}

function tile({ name, mos, prediction, thumbnail }: Gallery['images'][number]): string {
  const image = thumbnail
    ? `<img src="${thumbnail}" alt="" loading="lazy" width="144" height="144">`
    : '<div class="absent">missing</div>';
  return `<figure>${image}<figcaption><b>${figureText(prediction, 2)}</b> <span>MOS ${figureText(mos, 2)}</span><small title="${text(name)}">${text(name)}</small></figcaption></figure>`;
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
