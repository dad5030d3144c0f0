import { permutation, streams } from '../common/random.ts';
import { dealContents } from '../data/datasets/deal-contents.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { classOf, emptyPart, fewShot, type Split } from '../data/datasets/splits.ts';
import { type GeneratorUnit, generatorOf, generatorsOf, type Protocol, usedSamples } from './protocols.ts';

/** One training with its test: the parts share nothing that the protocol says they do not. */
export interface Fold {
  readonly protocol: Exclude<Protocol, 'within'>;
  /** Names its files: letters, digits and dashes. */
  readonly id: string;
  /** For people, as `2 of 5`, the generator left out, or the number of shots. */
  readonly label: string;
  readonly split: Split;
  /** Training images left out because nearly the same image is in the test set. */
  readonly dropped: number;
}

/** What decides the folds, besides the dataset. */
export interface FoldOptions {
  readonly protocols: readonly Protocol[];
  readonly folds: number;
  readonly shots: readonly number[];
  readonly generators: GeneratorUnit;
  /** Decides which prompts make a fold: the same for all seeds of the training. */
  readonly splitSeed: number;
  /** Decides which images few-shot training takes. */
  readonly seed: number;
  /** Share of the training images, by prompts where there are any, that an epoch is chosen by; 0: none. */
  readonly valSize: number;
  /** Positions in `samples` of the other dataset's images, which follow this one's. */
  readonly cross?: readonly number[] | undefined;
  /** By sample, a number that the same and nearly the same images share. */
  readonly nearDuplicates?: ArrayLike<number> | undefined;
}

/** All folds that the protocols need; `within` needs those of `published` and, where there are prompts, `prompt`. */
export function makeFolds(dataset: Dataset, options: FoldOptions): Fold[] {
  const { protocols, folds, shots, generators, splitSeed, seed, cross } = options;
  const { samples, split, thresholds } = dataset;
  const used = usedSamples(dataset);
  const contents = new Set(used.flatMap((at) => samples[at]!.content ?? []));
  const within = protocols.includes('within');
  const has = (protocol: Protocol) => protocols.includes(protocol);
  const found: Fold[] = [];
  const add = (
    protocol: Fold['protocol'],
    id: string,
    label: string,
    train: ArrayLike<number>,
    test: ArrayLike<number>,
  ) =>
    found.push(
      finished(
        { protocol, id, label, train: Int32Array.from(train), test: Int32Array.from(test) },
        dataset,
        options,
      ),
    );

  if (has('published') || (within && split.test.length > 0)) found.push(published(dataset, options));
  if (has('prompt') || (within && contents.size >= folds)) {
    const foldOf = dealContents(dataset, used, folds, splitSeed);
    const known = used.filter((at) => samples[at]!.content !== undefined);
    for (let fold = 0; fold < folds; fold++) {
      const inFold = (at: number) => foldOf.get(samples[at]!.content!) === fold;
      add(
        'prompt',
        `prompt-${fold + 1}of${folds}`,
        `${fold + 1} of ${folds}`,
        known.filter((at) => !inFold(at)),
        known.filter(inFold),
      );
    }
  }
  if (has('generator')) {
    // An image of an unknown generator may be of the one left out.
    const known = used.filter((at) => generatorOf(samples[at]!, generators) !== undefined);
    const names = generatorsOf(
      used.map((at) => samples[at]!),
      generators,
    );
    const unit = generators === 'whole' ? 'generator' : 'generator-setting';
    for (const [i, name] of names.entries()) {
      const inFold = (at: number) => generatorOf(samples[at]!, generators) === name;
      add(
        'generator',
        `${unit}-${i + 1}of${names.length}`,
        name,
        known.filter((at) => !inFold(at)),
        known.filter(inFold),
      );
    }
  }
  if (has('cross') && cross) add('cross', 'cross', 'all', used, cross);
  if (has('few')) {
    const classes = samples.map(({ mos }) => classOf(mos, thresholds));
    for (const count of shots)
      add(
        'few',
        `few-${count}-draw${seed}`,
        `${count} ${count === 1 ? 'shot' : 'shots'}`,
        fewShot(split.train, classes, count, seed),
        split.test,
      );
  }
  return found;
}

/** As published, shared prompts and all; a validation part of the dataset's own is used where an epoch is chosen. */
function published(dataset: Dataset, options: FoldOptions): Fold {
  const { split } = dataset;
  const own = options.valSize > 0 && split.val.length > 0;
  return {
    protocol: 'published',
    id: 'published',
    label: 'own split',
    split: own ? split : { ...heldOut(split.train, dataset, options), test: split.test },
    dropped: 0,
  };
}

function finished(
  {
    train,
    test,
    ...fold
  }: Omit<Fold, 'split' | 'dropped'> & { readonly train: Int32Array; readonly test: Int32Array },
  dataset: Dataset,
  options: FoldOptions,
): Fold {
  const { nearDuplicates } = options;
  const tested = new Set(nearDuplicates ? Array.from(test, (at) => nearDuplicates[at]!) : []);
  const kept = nearDuplicates ? train.filter((at) => !tested.has(nearDuplicates[at]!)) : train;
  return {
    ...fold,
    split: { ...heldOut(kept, dataset, options), test },
    dropped: train.length - kept.length,
  };
}

/** A validation part cut from the training part, in whole prompts where the images have any: the test part is not asked. */
function heldOut(
  train: Int32Array,
  { samples }: Dataset,
  { valSize, splitSeed }: FoldOptions,
): { readonly train: Int32Array; readonly val: Int32Array } {
  if (valSize === 0) return { train, val: emptyPart };
  const unitOf = (at: number) => samples[at]!.content ?? `image ${at}`;
  const units = [...new Set(Array.from(train, unitOf))].sort();
  const count = Math.min(units.length - 1, Math.max(1, Math.ceil(valSize * units.length)));
  const order = permutation(units.length, splitSeed, streams.heldOut);
  const held = new Set(Array.from(order.subarray(0, count), (at) => units[at]!));
  return {
    train: train.filter((at) => !held.has(unitOf(at))),
    val: train.filter((at) => held.has(unitOf(at))),
  };
}
