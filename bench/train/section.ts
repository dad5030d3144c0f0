import { type Bar, digits, markdownTable, megabytes, type Section } from '../section.ts';
import { type Memory, measureTrain, type TrainResults } from './measure.ts';
import type { Comparison } from './shortcuts.ts';

export const trainSection: Section<TrainResults> = {
  name: 'train',
  summary: 'the training job: step, avoided work, memory, the whole recipe; --python adds PyTorch',
  measure: measureTrain,
  bars,
  render: (results) => [spared(results), memory(results), recipe(results)].join('\n\n'),
};

/** PyTorch's step on such a machine, where it was not measured beside ours. */
const orientation = 0.42;

function bars(results: TrainResults): Bar[] {
  const { step, packedPrompts, classTokenBlock, foldedHead, memory, recipe, pytorch } = results;
  const cached = recipe.find(({ views }) => views === 4)!;
  return [
    {
      what: `seconds per step with cached features, vs. PyTorch's padded step${pytorch ? '' : ' elsewhere'}`,
      value: step.seconds,
      atMost: pytorch?.stepSeconds ?? orientation,
    },
    { what: 'six prompts: speedup of packed over padded', value: packedPrompts.speedup, atLeast: 8 },
    { what: 'six prompts: difference of the features', value: packedPrompts.error, atMost: 1e-5 },
    { what: 'six prompts: difference of the gradients', value: packedPrompts.gradientError, atMost: 1e-5 },
    {
      what: 'last block: speedup of class token over all tokens',
      value: classTokenBlock.speedup,
      atLeast: 1.5,
    },
    { what: 'last block: difference', value: classTokenBlock.error, atMost: 1e-5 },
    { what: 'folded head: difference of the scores', value: foldedHead.error, atMost: 1e-6 },
    { what: 'GPU memory of training in MB', value: memory.training.held / 1e6, atMost: 700 },
    { what: 'GPU memory of encoding in MB', value: memory.encoding.held / 1e6, atMost: 700 },
    ...(pytorch
      ? [
          {
            what: `whole recipe, ${cached.views} views: speedup over PyTorch's encoding alone`,
            value: cached.timesFasterThanPyTorch!,
            atLeast: 5,
          },
        ]
      : []),
  ];
}

function spared({ batch, step, packedPrompts, classTokenBlock, foldedHead }: TrainResults): string {
  const row = (name: string, { milliseconds, plainMilliseconds, speedup, error }: Comparison) => [
    name,
    `${digits(milliseconds)} ms`,
    `${digits(plainMilliseconds)} ms`,
    `${digits(speedup)}×`,
    digits(error),
  ];
  return [
    `A step of batch ${batch} with cached features takes ${digits(step.seconds)} s (${digits(step.stepsPerSecond)} steps per second, ${step.dispatches} dispatches; ${digits(step.processorSeconds)} s of CPU time over all cores).`,
    'Work that is avoided, and what it costs without the shortcut:',
    '',
    markdownTable(
      ['what', 'ours', 'without', 'speedup', 'largest difference'],
      [
        row(
          `six prompts, forward and backward: ${packedPrompts.rows} rows instead of ${packedPrompts.paddedRows}`,
          packedPrompts,
        ),
        row('last block of the image tower, batch 8: class token instead of all tokens', classTokenBlock),
        row(`scores of ${batch} images: text folded into the head instead of prompts and head`, foldedHead),
      ],
    ),
  ].join('\n');
}

function memory({ memory: { encoding, training } }: TrainResults): string {
  const row = (name: string, { minimum, peak, held }: Memory) => [
    name,
    megabytes(minimum),
    megabytes(peak),
    megabytes(held),
  ];
  return [
    'GPU memory: the minimum for any program (weights read, activations alive at the worst moment), what our tensors take at',
    'that moment, and what the pool holds. A run loads the text tower after the features are computed and the image tower is freed.',
    '',
    markdownTable(
      ['part', 'minimum', 'tensors', 'held'],
      [row('encoding, batch 8', encoding), row('training, batch 32', training)],
    ),
  ].join('\n');
}

function recipe({ recipe, encodingSecondsPerImage, step, pytorch }: TrainResults): string {
  const hours = (seconds: number) => `${digits(seconds / 3600)} h`;
  const rows = recipe.map(
    ({ views, encodings, encodingSeconds, stepSeconds, seconds, timesFasterThanPyTorch }) => [
      views === 0 ? 'none: a new crop each step' : `${views} view${views === 1 ? '' : 's'} per image`,
      encodings.toLocaleString('en'),
      hours(encodingSeconds),
      hours(stepSeconds),
      hours(seconds),
      ...(timesFasterThanPyTorch === undefined ? [] : [`${digits(timesFasterThanPyTorch)}×`]),
    ],
  );
  const beside = pytorch
    ? [
        '',
        `PyTorch ${pytorch.version} on ${pytorch.threads} threads of the same processor${pytorch.coreType ? ` (OPENBLAS_CORETYPE=${pytorch.coreType}, the fastest)` : ''}, in the same run: ${digits(pytorch.imagesPerSecond)} images per second, ${digits(pytorch.stepSeconds)} s per`,
        'padded step. The last column is the time of its 238,500 encodings alone divided by our whole recipe.',
      ]
    : [];
  return [
    `The whole recipe (2,385 training and 597 test images, 100 epochs, batch 32) extrapolated from ${digits(encodingSecondsPerImage)} s per image and ${digits(step.seconds)} s per step:`,
    '',
    markdownTable(
      ['cache', 'encodings', 'encoding', 'steps', 'whole', ...(pytorch ? ["vs. PyTorch's encoding"] : [])],
      rows,
    ),
    ...beside,
  ].join('\n');
}
