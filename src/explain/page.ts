import { figureText } from '../common/figure-text.ts';
import { curve, drawChart, palette } from '../report/chart.ts';
import { facts, htmlPage, section, table, text } from '../report/html.ts';
import { compared, type MeanAgreement } from './agreement.ts';
import { counterfactuals } from './curves.ts';
import type { ExplainedImage } from './explain-images.ts';
import { pictureUrl, plainOverlay, signedOverlay } from './overlay.ts';
import { pageStyle } from './page-style.ts';
import { curvesText, relevanceText } from './words.ts';

/** What the page says of itself. */
export interface ExplanationFacts {
  readonly facts: readonly (readonly [string, string])[];
  /** Where Shapley values were computed. */
  readonly agreement: MeanAgreement | null;
}

/** Explained images as one HTML page that needs nothing beside itself: no network, no script. */
export async function explanationPage(
  images: readonly ExplainedImage[],
  { facts: entries, agreement }: ExplanationFacts,
): Promise<string> {
  const sections: string[] = [];
  for (const [i, image] of images.entries()) sections.push(await imageSection(image, i));
  const body = [
    `<header><h1>Why these scores</h1>${facts(entries)}</header>`,
    section('How to read this page', guide),
    agreement ? section('Agreement with Shapley values', agreementTable(agreement)) : '',
    section('Images', overview(images)),
    ...sections,
  ];
  return htmlPage('Why these scores', body, { style: pageStyle });
}

const guide = `<p><b class="raises">Blue</b> speaks for a higher score, <b class="lowers">vermilion</b> for a lower one; the strongest color is the
image's own largest number, so that colors of two images do not compare. <b>Relevance</b> comes from one pass forward and back through the network
(gradient-weighted attention, Chefer et al., 2021). <b>Hiding</b> is its check: each region in turn is covered, and the color is how the score
changes. Trust relevance where the two agree; where they differ, trust
hiding, which asks the model itself. <b>Where it looks</b> is the attention of the last block. It is
shown because people ask for it, and it does not explain a score.</p>
<div class="legend" aria-hidden="true"><span>lowers</span><i></i><span>raises</span></div>`;

const names = {
  relevance: 'relevance',
  occlusion: 'hiding each region',
  rollout: 'attention rollout',
  attention: 'attention of the last block',
} as const;

export function agreementTable({ images, maps, corrected, reliability }: MeanAgreement): string {
  const rows = compared.map((name): [string, string[]] => [
    names[name],
    [figureText(maps[name], 2), figureText(corrected[name], 2)],
  ]);
  return `<p>Mean Spearman's rank correlation of each map with the Shapley values of the regions, over ${images} image${images === 1 ? '' : 's'}: 1 is the same
order, 0 is chance. Shapley values are estimates; their own reliability is ${figureText(reliability, 2)}, so that even a perfect map would reach
about ${figureText(Math.sqrt(reliability), 2)}. The second column is corrected for that.</p>${table(['', 'agreement', 'corrected'], rows, 'Agreement with Shapley values')}`;
}

function overview(images: readonly ExplainedImage[]): string {
  const rows = images.map(
    ({ path, score, occlusionAgreement, shapley }, i) =>
      `<tr><th scope="row"><a href="#image-${i + 1}">${text(path)}</a></th>${[score, occlusionAgreement, ...(shapley ? [shapley.agreement.maps.relevance] : [])].map((value) => `<td>${figureText(value, 2)}</td>`).join('')}</tr>`,
  );
  const columns = [
    'image',
    'score',
    'relevance and hiding agree',
    ...(images[0]?.shapley ? ['relevance and Shapley'] : []),
  ];
  return `<div class="scroll" tabindex="0" role="region" aria-label="Images"><table><thead><tr>${columns.map((name, i) => `<th scope="col"${i === 0 ? ' class="left"' : ''}>${name}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

async function imageSection(image: ExplainedImage, index: number): Promise<string> {
  const { path, score, explanation, occlusion, occlusionAgreement, curves, pixels } = image;
  const picture = await pictureUrl(pixels);
  const says = relevanceText(explanation.relevance);
  const map = (title: string, overlay: string, caption: string, label: string) =>
    `<figure><div class="map" role="img" aria-label="${text(label)}"><img src="${overlay}" alt=""></div><figcaption><b>${title}</b> ${text(caption)}</figcaption></figure>`;
  const maps = [
    `<figure><div class="map plain"><img src="${picture}" alt="${text(path)}"></div><figcaption><b>Image</b> as the model sees it</figcaption></figure>`,
    map('Relevance', await signedOverlay(explanation.relevance), says, `Relevance: ${says}`),
    map(
      'Hiding',
      await signedOverlay(occlusion),
      `each region in turn; rank agreement with relevance ${figureText(occlusionAgreement, 2)}`,
      `Hiding each region: ${relevanceText(occlusion)}`,
    ),
    map(
      'Where it looks',
      await plainOverlay(explanation.attention),
      'which is not why',
      `Attention: ${relevanceText(explanation.attention)}`,
    ),
  ];
  return `<section id="image-${index + 1}"><h2>${text(path)} <span class="score">${figureText(score, 3)}</span></h2>
<div class="maps" style="--picture:url(${picture})">${maps.join('')}</div>
${drawCurves(image)}<p class="note-small">${text(curvesText(curves, score))}</p>${curveTable(image)}</section>`;
}

/** All distortions in one chart, from mild to strong; what each step is, the table says. */
function drawCurves({ path, score, curves }: ExplainedImage): string {
  const steps = Math.max(...curves.map(({ points }) => points.length));
  const series = curves.map(({ points }, i) =>
    curve(counterfactuals[i]!.title, palette[i]!, [
      [0, score],
      ...points.map((point, step) => [step + 1, point.score]),
    ]),
  );
  return drawChart({
    label: `Score of ${path} under distortions`,
    x: { type: 'value', name: 'strength, step by step', min: 0, max: steps, minInterval: 1 },
    y: { type: 'value', name: 'score', scale: true },
    series,
    height: 240,
    titles: (which, step) => {
      const { name, unit, points } = curves[which]!;
      const point = points[step - 1];
      return point
        ? `${name}, ${unit} ${point.level}: ${figureText(point.score, 3)}`
        : `as it is: ${figureText(score, 3)}`;
    },
  });
}

function curveTable({ curves }: ExplainedImage): string {
  const rows = curves.map(({ points }, i): [string, string[]] => [
    `${counterfactuals[i]!.title} (${counterfactuals[i]!.unit})`,
    points.map(({ level, score }) => `${level}: ${figureText(score, 2)}`),
  ]);
  const columns = ['', ...(rows[0]?.[1] ?? []).map((_, i) => String(i + 1))];
  return `<details><summary>Scores by step</summary>${table(columns, rows, 'Scores by step')}</details>`;
}
