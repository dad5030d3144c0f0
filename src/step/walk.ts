import { figuresOf } from './figures.ts';
import type { DispatchRecord, StepData } from './step-data.ts';
import { amountText, percentText, timeText } from './units.ts';

/** A stop of the walk through a step: a dispatch, and three sentences on it with this recording's own figures. */
export interface Stop {
  readonly title: string;
  readonly dispatch: number;
  readonly sentences: readonly [string, string, string];
}

interface Planned {
  readonly title: string;
  find(data: StepData): number;
  say(data: StepData, at: number): readonly [string, string, string];
}

const first = (data: StepData, fits: (one: DispatchRecord, op: string) => boolean) =>
  data.dispatches.findIndex((one) => fits(one, data.ops[one.op]?.name ?? ''));
const last = (data: StepData, fits: (one: DispatchRecord, op: string) => boolean) =>
  data.dispatches.findLastIndex((one) => fits(one, data.ops[one.op]?.name ?? ''));
const nameOf = (data: StepData, storage: number) =>
  data.residents.find((one) => one.storage === storage)?.name;

/** Rows of an op's output: what its last axis runs along, counted. */
function rowsAt(data: StepData, at: number): number {
  const shape = data.ops[data.dispatches[at]!.op]?.outputs[0]?.shape ?? [0];
  return shape.slice(0, -1).reduce((count, size) => count * size, 1);
}

const inPhase = (phase: string, part: RegExp, op?: string) => (one: DispatchRecord, name: string) =>
  one.phase === phase && part.test(one.part) && (op === undefined || op === name);

const planned: readonly Planned[] = [
  {
    title: 'Prompts become rows of one tree',
    find: (data) => last(data, inPhase('forward', /^prompts$/, 'gatherRows')),
    say: (data, at) => {
      const ghost = data.ghosts.find(({ what }) => what.includes('prompt rows'));
      return [
        `Every quality word stands in a prompt of its own, and all prompts begin with the same learned context, so this gathers ${rowsAt(data, at)} rows in place of each prompt's full length.`,
        'Causal attention lets a row see only the rows before it, which makes sharing them exact and not an approximation.',
        ghost
          ? `Spared are ${ghost.what}, ${amountText(ghost.operations, 'FLOP')}.`
          : 'What that spares is listed under "What is not there".',
      ];
    },
  },
  {
    title: 'A frozen layer',
    find: (data) => first(data, inPhase('forward', /^text\.blocks\.0\.attn\.in_proj$/, 'linear')),
    say: (data, at) => [
      `One product makes queries, keys and values of all ${rowsAt(data, at)} rows at once, with the bias added as the result is stored.`,
      'The weight is frozen: it is read and never changed, so it may lie in whatever layout this adapter reads fastest.',
      `Its arithmetic is counted from the shapes by the //@work line in its shader, ${amountText(data.dispatches[at]!.operations ?? 0, 'FLOP')} here.`,
    ],
  },
  {
    title: 'Attention among ancestors',
    find: (data) => first(data, inPhase('forward', /^text\.blocks\.0\.attn$/, 'attention')),
    say: () => [
      'Each row looks at itself and its ancestors in the tree, which the buffer called "end" tells the kernel.',
      'The scores never reach memory: scores, softmax and the weighted sum of values are one dispatch.',
      'For the gradient it keeps one number a row and head, the logarithm of the sum of exponentials.',
    ],
  },
  {
    title: 'The last block narrows',
    find: (data) => first(data, inPhase('forward', /^text\.blocks\.\d+$/, 'gatherRows')),
    say: (data, at) => [
      `Of the last block only the rows at the end of each prompt are read, so from here on there are ${rowsAt(data, at)}.`,
      'Attention still needed all rows as keys and values; what follows it does not.',
      'On the tape this is a gather, whose gradient puts the rows back among zeros.',
    ],
  },
  {
    title: 'Words and images meet',
    find: (data) => first(data, inPhase('forward', /^joined$/, 'joinRepeated')),
    say: (data) => [
      `The features of ${data.batch} images stand beside the features of all words, each of length 1.`,
      'The images were encoded once, before training, and are read from memory in every epoch.',
      'The same dispatch drops some of them; moving numbers costs hardly any arithmetic, so on the roofline its bytes are what counts.',
    ],
  },
  {
    title: 'The head',
    find: (data) => first(data, inPhase('forward', /^head\.1$/, 'linear')),
    say: (data, at) => [
      `The first layer that learns: ${amountText(data.dispatches[at]!.operations ?? 0, 'FLOP')} for ${data.batch} images, with ReLU in the same kernel.`,
      'Its input went through dropout, whose mask is never stored but drawn again from its counter in the backward pass.',
      'Because the weight learns, the input is kept for its gradient: look for the gold in the memory strip.',
    ],
  },
  {
    title: 'The turn',
    find: (data) => first(data, (one) => one.phase === 'backward'),
    say: (data) => [
      `The loss is one number, ${data.loss.toPrecision(4)}, and its gradient by itself is 1: its own launch has kept what follows from that, and this goes on.`,
      'From here the tape is read from its end, and every op is asked for the gradients of its inputs.',
      'What an op does not depend on a parameter for is not on the tape, so it has no gradient to compute.',
    ],
  },
  {
    title: 'The top of the pyramid',
    find: (data) => Math.min(figuresOf(data).peak.at, data.dispatches.length - 1),
    say: (data) => {
      const { peak, live } = figuresOf(data);
      const kept = live[data.dispatches.findIndex(({ phase }) => phase === 'backward')] ?? 0;
      return [
        `Here memory is fullest: ${amountText(peak.bytes, 'B')} are allocated.`,
        `When the backward pass began it was ${amountText(kept, 'B')}, piled up block by block, and each gradient gives back what was kept for it.`,
        'Click into the memory strip to see what is alive at any moment, who made it and what it waits for.',
      ];
    },
  },
  {
    title: 'Attention backward',
    find: (data) => last(data, inPhase('backward', /^text\.blocks\.0\.attn$/, 'attention')),
    say: (data, at) => {
      const { op } = data.dispatches[at]!;
      const all = data.dispatches.filter((one) => one.op === op);
      const forward = data.dispatches.filter((one) => one.op === data.ops[op]?.of);
      const time = (list: readonly DispatchRecord[]) => list.reduce((sum, { ns }) => sum + ns, 0);
      return [
        `The gradient of one dispatch takes ${all.length}: probabilities are computed again, then the gradients of queries, keys and values.`,
        `It took ${timeText(time(all))}, and the forward pass ${timeText(time(forward))}.`,
        'No atomics anywhere: every sum has a fixed order, so the same step gives the same bits.',
      ];
    },
  },
  {
    title: 'What is learned',
    find: (data) => {
      const biggest = (at: number) => Math.max(...data.dispatches[at]!.uses.map(({ bytes }) => bytes));
      const updates = data.dispatches.flatMap((one, at) =>
        one.phase === 'update' && one.part === 'optimizer' ? [at] : [],
      );
      return updates.length === 0 ? -1 : updates.reduce((a, b) => (biggest(b) > biggest(a) ? b : a));
    },
    say: (data, at) => {
      const { total } = figuresOf(data);
      const updates = data.dispatches.filter(({ phase }) => phase === 'update');
      const written = data.dispatches[at]!.uses.flatMap(({ access, storage }) =>
        access === 'write' ? (nameOf(data, storage) ?? []) : [],
      );
      return [
        `The optimizer writes ${written.join(' and ') || 'a parameter'} in place, an element a lane.`,
        'Its gradient has waited since the head’s backward pass, because updates come after all gradients.',
        `All updates together are ${percentText(updates.reduce((sum, { ns }) => sum + ns, 0) / total)} of the step, and then it is replayed with the next batch.`,
      ];
    },
  },
];

/** How many stops a step of CLIP-AGIQA has; other trainers have those whose op they run. */
export const stopCount = planned.length;

/** The walk through a recording. */
export function walkOf(data: StepData): Stop[] {
  return planned.flatMap(({ title, find, say }) => {
    const dispatch = find(data);
    return dispatch < 0 ? [] : [{ title, dispatch, sentences: say(data, dispatch) }];
  });
}
