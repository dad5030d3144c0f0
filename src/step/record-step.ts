import type { Operand } from '../autograd/op.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { StepParts, TrainingLoop } from '../training/loop.ts';
import type { Settings } from '../training/settings.ts';
import { type Capturable, type Captured, capturable } from './capture-tensors.ts';
import { findGhosts, type Spared } from './ghosts.ts';
import { measureStep } from './measure.ts';
import { readCalls, valuesOfCalls } from './read-values.ts';
import type { Sources } from './source-frames.ts';
import { type Resident, type StepData, stepFormat, stepVersion } from './step-data.ts';
import { StepTracer, storageOf } from './step-tracer.ts';

/** The step to look at, and what is around it. */
export interface StepSubject {
  readonly loop: TrainingLoop;
  readonly settings: Settings;
  /** Frozen weights by name. */
  readonly weights: ReadonlyMap<string, Operand>;
  /** Work beside the step that it spares; recorded, not timed. */
  readonly spared: readonly Spared[];
  /** The command that made it. */
  readonly command: string;
}

export interface RecordOptions {
  /** Replays of each kind, at most; fewer where they take seconds. */
  readonly rounds?: number;
}

/** Who records: what differs between Node and a page. */
export interface Recorder {
  /** Of the package. */
  readonly version: string;
  readonly sources: Sources;
}

/** A recording, and what may be captured of it. */
export interface RecordedStep {
  readonly data: StepData;
  readonly capturable: Capturable;
}

/**
 * Records the first step of a training loop: reads what each op makes, captures the step with a tracer, and times its replays. The
 * replays go on training on that batch, so what the loop learns from then on is no run's.
 *
 * @throws UserError on an adapter without timestamp queries
 */
export async function recordStep(
  { loop, settings, weights, spared, command }: StepSubject,
  { version, sources }: Recorder,
  reporter: Reporter,
  { rounds = 30 }: RecordOptions = {},
): Promise<RecordedStep> {
  const { gpu, learner } = loop;
  if (!gpu.has('timestamp-query'))
    throw new UserError(
      'this adapter has no timestamp queries, so a step cannot be timed dispatch by dispatch',
      'Record it on another adapter (--adapter).',
    );
  const parts = await loop.firstStep();
  const { loss, parameters } = await readParameters(loop, parts);
  const calls = await readCalls(() => parts.gradients());
  const tracer = new StepTracer(sources);
  const { recording } = tracer.record(gpu, () => gpu.capture(() => parts.learn()));
  const bar = reporter.bar('timing replays', 2 * rounds);
  try {
    const times = await measureStep(gpu, recording, rounds, () => bar.advance());
    const { name, driver, software, features } = gpu.adapter;
    const data: StepData = {
      format: stepFormat,
      version: stepVersion,
      title: `One training step of ${settings.trainer}`,
      made: new Date().toISOString(),
      package: version,
      command,
      settings: shownSettings(settings),
      batch: parts.inputs.get('batch.features')?.shape[0] ?? 0,
      loss,
      adapter: { name: name.replace(/-+$/, ''), driver, software, features: [...features] },
      resolution: times.resolution,
      ceilings: times.ceilings,
      rounds: times.rounds,
      times: { wall: times.wall, wallLeast: times.wallLeast, host: times.host, profiled: times.profiled },
      ops: tracer.ops,
      dispatches: tracer.dispatches.map((one, i) => ({ ...one, ...times.dispatches[i]! })),
      copies: tracer.copies,
      lifetimes: tracer.lifetimes,
      residents: residentsOf(tracer, { parts, learner, optimizer: loop.optimizer?.state() }, weights),
      shaders: tracer.shaders.map(({ kernel, wgsl }) => ({ kernel, wgsl })),
      frames: tracer.source.frames,
      stacks: tracer.source.stacks,
      files: tracer.source.files(),
      values: valuesOfCalls(calls),
      ghosts: findGhosts(tracer, weights, spared, times.ceilings),
    };
    return { data, capturable: capturable(calls, parameters) };
  } finally {
    bar.stop();
    recording.dispose();
  }
}

/** The loss, and what learns with its gradient, as they are before the step. */
async function readParameters(loop: TrainingLoop, parts: StepParts) {
  const { value, gradients } = parts.gradients();
  const read = async (tensor: Tensor): Promise<Captured> => ({
    dtype: 'F32',
    shape: tensor.shape,
    data: await tensor.read(),
  });
  try {
    const parameters = new Map<string, { value: Captured; gradient: Captured | null }>();
    for (const [name, tensor] of loop.learner.parameters()) {
      const gradient = gradients.get(tensor);
      parameters.set(name, { value: await read(tensor), gradient: gradient ? await read(gradient) : null });
    }
    return { loss: (await value.read())[0]!, parameters };
  } finally {
    for (const tensor of [value, ...gradients.values()]) tensor.dispose();
  }
}

/** Paths are this machine's business. */
function shownSettings(settings: Settings): StepData['settings'] {
  const hidden = new Set(['root', 'csv', 'out', 'cache']);
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([name]) => !hidden.has(name))
      .map(([name, value]) => [
        name,
        typeof value === 'string' ? value.replace(/^.*[\\/]/, '') : (value as number),
      ]),
  );
}

/** Names for what was there before the step, by its storage. */
function residentsOf(
  tracer: StepTracer,
  {
    parts,
    learner,
    optimizer,
  }: {
    readonly parts: StepParts;
    readonly learner: TrainingLoop['learner'];
    readonly optimizer: ReadonlyMap<string, Tensor> | undefined;
  },
  weights: ReadonlyMap<string, Operand>,
): Resident[] {
  const known = new Map<number, Pick<Resident, 'name' | 'kind' | 'bytes'>>();
  const add = (kind: Resident['kind'], named: Iterable<readonly [string, Operand]>) => {
    for (const [name, operand] of named)
      known.set(storageOf(operand).id, { name, kind, bytes: bytesOf(operand) });
  };
  const names = [...learner.parameters().keys()];
  add('weight', weights);
  add('input', parts.inputs);
  add(
    'optimizer',
    [...(optimizer ?? [])].map(([name, tensor]) => {
      const [kind, number] = name.split('.');
      return [number === undefined ? `optimizer ${kind}` : `${kind} of ${names[Number(number)]}`, tensor];
    }),
  );
  add('parameter', learner.parameters());
  const labels = new Map(
    tracer.dispatches.flatMap(({ uses, part }) =>
      uses.map(({ storage, label }) => [storage, `${label} of ${part || 'the step'}`] as const),
    ),
  );
  return [...tracer.residents].map(([storage, capacity]) => ({
    storage,
    ...(known.get(storage) ?? {
      name: labels.get(storage) ?? `buffer ${storage}`,
      kind: 'other',
      bytes: capacity,
    }),
  }));
}

const bytesOf = ({ shape, type }: Operand) =>
  shape.reduce((count, size) => count * size, 1) * (type === 'f16' ? 2 : 4);
