import { UserError } from '../common/errors.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { VisionConfig } from '../model/config.ts';

/** Gain of the neurons that take magnitudes: QuickGELU(gx) + QuickGELU(−gx) = gx · tanh(0.851 gx), near |gx| from here. */
const gain = 2;
/** Threshold, after the gain, of the neurons that only large coefficients reach. */
const threshold = 2;
/** What they add, beside the magnitudes' 1. */
const outlierShare = 0.7;
/** Queries and keys begin so much smaller: the class token looks at all patches alike. */
const queryScale = 0.1;
/** So do positions: a statistic does not depend on where it is taken. */
const positionScale = 0.1;
/** And what blocks add to the residual stream, that the statistics reach the output unmixed. */
const residualScale = 0.3;

/** Luminance, then the opponent pairs red–blue and yellow–green (rows of unit length below). */
const opponents = [
  [1, 1, 1],
  [1, 0, -1],
  [0.5, -1, 0.5],
].map((row) => row.map((value) => value / Math.hypot(...row)));
/** Share of the filters on luminance. */
const luminanceShare = 0.75;
/** Color differences vary so much less than luminance. */
const colorScale = 3;

/**
 * Rewrites, in place, where the image tower begins, so that its class token starts as a statistic of local spectra, the
 * kind of feature that quality assessment without a reference was built on before it was learned (natural scene
 * statistics: Ruderman 1994; BRISQUE, Mittal et al., IEEE TIP 2012; in the frequency domain BLIINDS-II, Saad et al., IEEE
 * TIP 2012). Nothing here comes from data, and everything goes on learning. A transformer that begins with the structure
 * it would otherwise have to find learns from far fewer images (Trockman and Kolter, arXiv 2305.09828).
 *
 * 1. Patch embedding: the 2-D DCT of a patch, at frequencies spread over its plane, on luminance and two color
 *    differences, each times its frequency, since amplitudes of natural images fall as 1/f (Field, JOSA A 1987).
 *    `ln_pre` then divides by the patch's own contrast.
 * 2. MLP of the first block: neurons in pairs ±g e_k give the magnitude of coefficient k, added to channel k; pairs with a
 *    threshold give the outliers, added to the mirrored channel w − 1 − k.
 * 3. Attention of the second block: values and output are the identity, so that the class token, looking at all patches
 *    alike, takes their mean.
 *
 * @param weights of a CLIP by canonical name, as drawn at random
 * @throws UserError for a tower of one block, whose class token can't see what an MLP made of the patches
 */
export function startFromSpectra(weights: ReadonlyMap<string, HostTensor>, config: VisionConfig): void {
  const { width, layers, mlpWidth, patchSize } = config;
  if (layers < 2 || mlpWidth !== 4 * width)
    throw new UserError(
      '--start spectral needs at least two blocks in the image tower, with MLPs four times its width',
      'Use --vision-layers 2 or more, or --start random.',
    );
  const data = (name: string) => getOrThrow(weights, `visual.${name}`).data;
  const block = (i: number, name: string) => data(`transformer.resblocks.${i}.${name}`);
  data('conv1.weight').set(spectralFilters(width, patchSize));
  rescale(data('positional_embedding'), positionScale);
  for (let i = 0; i < layers; i++) {
    rescale(block(i, 'attn.in_proj_weight').subarray(0, 2 * width * width), queryScale);
    // The first attention has only coefficients to mix, whose signs would cancel.
    rescale(block(i, 'attn.out_proj.weight'), i === 0 ? residualScale ** 2 : residualScale);
    rescale(block(i, 'mlp.c_proj.weight'), residualScale);
  }
  const fc = block(0, 'mlp.c_fc.weight').fill(0);
  const bias = block(0, 'mlp.c_fc.bias');
  const project = block(0, 'mlp.c_proj.weight').fill(0);
  for (let k = 0; k < width; k++)
    for (const [group, sign] of [1, -1, 1, -1].entries()) {
      const neuron = group * width + k;
      const outliers = group >= 2;
      fc[neuron * width + k] = sign * gain;
      bias[neuron] = outliers ? -threshold : 0;
      const channel = outliers ? width - 1 - k : k;
      project[channel * mlpWidth + neuron] = (outliers ? outlierShare : 1) / gain;
    }
  setDiagonal(block(1, 'attn.in_proj_weight').subarray(2 * width * width), width, 1);
  setDiagonal(block(1, 'attn.out_proj.weight'), width, 2);
}

/**
 * DCT-II basis functions of a patch [width, 3, p, p], luminance first, each set from low frequency to high and spread
 * evenly over all p² of them.
 */
export function spectralFilters(width: number, patchSize: number): Float32Array {
  const p = patchSize;
  const cosine = (frequency: number, at: number) =>
    Math.cos((Math.PI * (at + 0.5) * frequency) / p) * Math.sqrt((frequency === 0 ? 1 : 2) / p);
  const plane = Array.from({ length: p * p }, (_, i) => ({ u: i % p, v: Math.floor(i / p) }))
    .map((place) => ({ ...place, frequency: Math.hypot(place.u, place.v) }))
    .sort((a, b) => a.frequency - b.frequency || a.v - b.v);
  const luminance = Math.round(width * luminanceShare);
  const first = Math.floor((width - luminance) / 2);
  const counts = [luminance, first, width - luminance - first];
  const filters = new Float32Array(width * 3 * p * p);
  let at = 0;
  for (const [component, count] of counts.entries()) {
    if (count > plane.length)
      throw new UserError(
        `patches of ${p} pixels have ${plane.length} frequencies, fewer than the ${count} filters of a tower ${width} wide`,
        'Use a larger --patch-size, a smaller --vision-width, or --start random.',
      );
    for (let i = 0; i < count; i++) {
      const place = plane[count === 1 ? 0 : Math.round((i / (count - 1)) * (plane.length - 1))]!;
      const scale = (Math.max(place.frequency, 0.5) / p) * (component === 0 ? 1 : colorScale);
      for (const color of opponents[component]!)
        for (let y = 0; y < p; y++)
          for (let x = 0; x < p; x++) filters[at++] = scale * color * cosine(place.v, y) * cosine(place.u, x);
    }
  }
  return filters;
}

function rescale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * factor;
}

function setDiagonal(square: Float32Array, side: number, value: number): void {
  square.fill(0);
  for (let i = 0; i < side; i++) square[i * side + i] = value;
}
