import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { shortened, UserError } from '../../common/errors.ts';
import { requireFinite } from '../../data/formats/finite.ts';
import type { HostTensor } from '../../data/formats/tensor.ts';
import { openTensorFile, type TensorFile } from '../../data/formats/tensor-file.ts';
import { type HeadValues, headNames, misshapenTensor } from '../head.ts';

/** What the published CLIP-AGIQA trainer learned. */
export interface OriginalCheckpoint {
  /** Context vectors: [length, width], or [classes, length, width] when class-specific. */
  readonly ctx: HostTensor;
  /** `1.weight` [hidden, features], `1.bias` [hidden], `4.weight` [1, hidden], `4.bias` [1]. */
  readonly head: HeadValues;
  readonly epoch: number;
}

/**
 * Reads a results folder of the published trainer, `prompt_learner/model.pth.tar-N` and
 * `regression/model.pth.tar-N`. Its `token_prefix` and `token_suffix` are left out, as on its own loading: they are
 * embeddings of the fixed tokens.
 *
 * @param epoch an epoch's number or `best`; by default `model-best.pth.tar` where there is one, else the highest epoch
 */
export async function readOriginalCheckpoint(
  folder: string,
  epoch?: number | 'best',
): Promise<OriginalCheckpoint> {
  const name = chooseFile(folder, parts, epoch);
  const ctx = await readTensors(join(folder, 'prompt_learner', name), ['ctx']);
  const head = await readTensors(join(folder, 'regression', name), headNames);
  checkContextShape(join(folder, 'prompt_learner', name), ctx.tensors.ctx);
  checkShapes(join(folder, 'regression', name), head.tensors);
  const stored = Number(ctx.metadata.epoch);
  return {
    ctx: ctx.tensors.ctx,
    head: head.tensors,
    epoch: Number.isSafeInteger(stored) && stored >= 0 ? stored : epochOf(name),
  };
}

/**
 * The context vectors alone: of a results folder, of CoOp's own too, which has no `regression/`, or of one file
 * `model.pth.tar-N` in `prompt_learner/`.
 */
export async function readOriginalContext(path: string, epoch?: number | 'best'): Promise<HostTensor> {
  const file = isFolder(path)
    ? join(path, 'prompt_learner', chooseFile(path, ['prompt_learner'], epoch))
    : path;
  const { ctx } = (await readTensors(file, ['ctx'])).tensors;
  checkContextShape(file, ctx);
  return ctx;
}

const parts = ['prompt_learner', 'regression'] as const;
type Part = (typeof parts)[number];
const best = 'model-best.pth.tar';

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function epochOf(name: string): number {
  return Number(/^model\.pth\.tar-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
}

function chooseFile(
  folder: string,
  wantedParts: readonly Part[],
  epoch: number | 'best' | undefined,
): string {
  for (const part of wantedParts) {
    if (!isFolder(join(folder, part))) {
      throw new UserError(
        `${folder}: has no folder ${part}`,
        `Pass the folder that holds ${wantedParts.join('/ and ')}/ (…/nctx16_cscFalse_ctpend/seed1).`,
      );
    }
  }
  // Every part must be there: a run that was stopped may have written only one.
  const inAll = (name: string) => wantedParts.every((part) => existsSync(join(folder, part, name)));
  const epochs = readdirSync(join(folder, wantedParts[0]!))
    .filter((name) => !Number.isNaN(epochOf(name)) && inAll(name))
    .sort((a, b) => epochOf(b) - epochOf(a));
  const wanted =
    typeof epoch === 'number' ? `model.pth.tar-${epoch}` : epoch === 'best' || inAll(best) ? best : epochs[0];
  if (wanted !== undefined && inAll(wanted)) return wanted;
  const present = [...(inAll(best) ? [best] : []), ...epochs].join(', ') || 'none';
  throw new UserError(
    `${folder}: ${wanted ?? 'model.pth.tar-N'} is not in ${wantedParts.length > 1 ? 'both ' : ''}${wantedParts.join(' and ')}`,
    `Checkpoints found: ${present}.`,
  );
}

async function readTensors<Name extends string>(
  path: string,
  names: readonly Name[],
): Promise<{ tensors: Record<Name, HostTensor>; metadata: TensorFile['metadata'] }> {
  const file = await openTensorFile(path);
  try {
    const tensors: Partial<Record<Name, HostTensor>> = {};
    for (const name of names) {
      const info = file.tensors.get(name);
      if (!info) {
        const found = shortened([...file.tensors.keys()].slice(0, 8).join(', '), 200);
        throw new UserError(
          `${path}: tensor ${name} is missing (found: ${found})`,
          "Pass a results folder of the published CLIP-AGIQA trainer; CoOp's own has another head.",
        );
      }
      const data = requireFinite(await file.read(name), info.shape, `${path}: tensor ${name}`);
      tensors[name] = { shape: info.shape, data };
    }
    return { tensors: tensors as Record<Name, HostTensor>, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

function checkShapes(path: string, head: HeadValues): void {
  const wrong = misshapenTensor(head);
  if (head['1.weight'].shape.includes(0)) throw new UserError(`${path}: tensor 1.weight is empty`);
  if (wrong) {
    throw new UserError(
      `${path}: tensor ${wrong.name} has the shape [${head[wrong.name].shape.join(', ')}], expected [${wrong.expected.map((size) => size ?? '?').join(', ')}]`,
      'The file is damaged, or comes from another trainer.',
    );
  }
}

function checkContextShape(path: string, { shape }: HostTensor): void {
  if ((shape.length !== 2 && shape.length !== 3) || shape.includes(0))
    throw new UserError(
      `${path}: tensor ctx has shape [${shape.join(', ')}], expected [length, width] or [classes, length, width]`,
    );
}
