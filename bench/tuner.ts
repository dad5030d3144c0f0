/** What the tuner finds at CLIP ViT-B/16's shapes: its choice against the rule of thumb, and what it takes. */

import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { defaultTuneChoice, pendingShapes, tune, tuned, tunes } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/self-check/open.ts';
import { generatedClip, trainingSetup } from './model.ts';
import { type BenchOptions, digits, markdownTable, type Section } from './section.ts';

/** A shape that was measured. */
interface TunedShape {
  /** Kernel and shape. */
  readonly shape: string;
  readonly variant: string;
  readonly rule: string;
  /** Milliseconds of a launch, by variant. */
  readonly times: Readonly<Record<string, number>>;
  readonly leftOut?: Readonly<Record<string, string>>;
}

/** The section `tuner` of the results. */
export interface TunerResults {
  /** False on a software adapter, where a rule chooses. */
  readonly measures: boolean;
  readonly seconds: number;
  readonly shapes: readonly TunedShape[];
  /** Shapes for which there was no time. */
  readonly pending: number;
}

/** Images that are encoded at once: the default, and what suits a large GPU. */
const batches = [8, 64];

async function measure({ quick, progress, until = Infinity }: BenchOptions): Promise<TunerResults> {
  const gpu = await openGpu();
  try {
    if (!tunes(gpu, defaultTuneChoice())) return { measures: false, seconds: 0, shapes: [], pending: 0 };
    const known = new Set(tuned(gpu).keys());
    const began = performance.now();
    const measureMet = async (what: string) => {
      const total = pendingShapes(gpu);
      let done = 0;
      const onShape = (key: string) => progress(`${what}: [${++done}/${total}] ${nameOf(key)}`);
      await tune(gpu, { onShape, until });
    };
    const vision = await generatedClip(gpu, { text: false });
    for (const batch of quick ? batches.slice(0, 1) : batches) {
      encode(gpu, vision, batch);
      await gpu.finish();
      await measureMet(`batches of ${batch} images`);
    }
    vision.dispose();
    const text = await generatedClip(gpu, { vision: false });
    const { loop, dispose } = await trainingSetup(gpu, text, { steps: 1, epochs: 1, tune: 'never' });
    await loop.run({ epoch: 0, records: [], best: null });
    await measureMet('a training step');
    dispose();
    text.dispose();
    const shapes = [...tuned(gpu)]
      .filter(([key]) => !known.has(key))
      .map(([key, { variant, rule = variant, times, leftOut }]) => ({
        shape: nameOf(key),
        variant,
        rule,
        times,
        ...(leftOut && { leftOut }),
      }));
    const seconds = (performance.now() - began) / 1000;
    return { measures: true, seconds, shapes, pending: pendingShapes(gpu) };
  } finally {
    gpu.close();
  }
}

/** `matmul nnf 1576x768x768`, without the version. */
const nameOf = (key: string) => key.replace(/\/[0-9a-f]{8}\//, ' ');

function encode(gpu: Gpu, { vision }: Awaited<ReturnType<typeof generatedClip>>, batch: number): void {
  const words = (batch * vision.config.imageSize ** 2 * 3) / 4;
  scope(() => {
    const pixels = Tensor.from(gpu, new Uint32Array(words), [batch, words / batch]);
    vision.features(vision.patchesFromBytes(pixels)).dispose();
  });
}

export const tunerSection: Section<TunerResults> = {
  name: 'tuner',
  summary: 'which kernel variants are the fastest at the shapes of ViT-B/16, by measurement (GPUs)',
  measure,
  bars: ({ measures, shapes }) =>
    measures && shapes.length > 0
      ? [{ what: 'tuner: share of variants that are right', value: rightShare(shapes), atLeast: 1 }]
      : [],
  render({ measures, seconds, shapes, pending }) {
    if (!measures) return 'On this adapter a rule of thumb chooses, and nothing is measured.';
    const rows = shapes.map(({ shape, variant, rule, times }) => [
      shape,
      variant,
      digits(times[variant] ?? Number.NaN),
      rule,
      times[rule] === undefined || times[variant] === undefined
        ? ''
        : `${digits(times[rule] / times[variant])}×`,
    ]);
    return [
      `${shapes.length} shapes in ${digits(seconds)} s${pending > 0 ? `; there was no time for ${pending} more` : ''}.`,
      '',
      markdownTable(['kernel and shape', 'chosen', 'ms', 'by rule', 'gain'], rows),
      ...leftOut(shapes),
    ].join('\n');
  },
};

function rightShare(shapes: readonly TunedShape[]): number {
  const right = shapes.reduce((sum, { times }) => sum + Object.keys(times).length, 0);
  const wrong = shapes.reduce((sum, one) => sum + Object.keys(one.leftOut ?? {}).length, 0);
  return right / (right + wrong);
}

function leftOut(shapes: readonly TunedShape[]): string[] {
  const lines = shapes.flatMap((one) =>
    Object.entries(one.leftOut ?? {}).map(
      ([variant, why]) => `- ${one.shape}: ${variant} is left out: ${why}`,
    ),
  );
  return lines.length === 0 ? [] : ['', ...lines];
}
