import { UserError } from '../../common/errors.ts';
import { requireFinite } from '../../data/formats/finite.ts';
import type { TensorFile } from '../../data/formats/tensor.ts';
import {
  type Activation,
  type ClipConfig,
  type ConfigHints,
  canonicalShapes,
  clipDefaults,
  configFromShapes,
  timmDefaults,
} from '../config.ts';
import { hintsFromMetadata, hintsFromSiblings, type Siblings } from './config-hints.ts';
import { detectNaming, isTowerWeight, type Naming, type Recipe, recipeFor } from './naming.ts';

/** A model's weights under canonical names, which are OpenAI's, wherever they come from. */
export interface WeightValues {
  readonly config: ClipConfig;
  /** Row-major float32 values of a canonical name. */
  read(name: string): Promise<Float32Array>;
  /** Whether there is a tensor of this canonical name. */
  has(name: string): boolean;
  /** All canonical names. */
  names(): string[];
  /** Throws `UserError` for an unknown name, as `read` does. */
  shape(name: string): readonly number[];
}

/** Those of an open file. */
export interface ClipWeights extends WeightValues {
  readonly source: TensorFile;
  readonly naming: Naming;
  /** Closes the file. */
  close(): Promise<void>;
}

/** exp of it is finite in float32, and far beyond what a softmax can use. */
const largestLogitScale = 50;

/** What the caller knows better than the file. */
export interface OpenWeightsOptions {
  /** Instead of what the file, its folder or its naming implies: open_clip's models often have `gelu`. */
  readonly activation?: Activation | undefined;
}

/**
 * The weights in an open file, which is closed with them. All names and shapes are checked before a value is read; a missing, misshapen or unplaceable tensor
 * is a `UserError` that names it.
 *
 * @param siblings the configuration files beside the weights; by default there are none
 */
export function mapWeights(
  source: TensorFile,
  options: OpenWeightsOptions = {},
  siblings: Siblings = () => undefined,
): ClipWeights {
  return new MappedWeights(source, options, siblings);
}

class MappedWeights implements ClipWeights {
  readonly config: ClipConfig;
  readonly source: TensorFile;
  readonly naming: Naming;
  readonly #tensors = new Map<string, { readonly shape: readonly number[]; readonly recipe: Recipe }>();

  constructor(source: TensorFile, { activation }: OpenWeightsOptions, siblings: Siblings) {
    const { path, tensors, metadata } = source;
    const names = new Set(tensors.keys());
    const naming = detectNaming(names, path);
    const shapeOf = (canonical: string) => {
      const recipe = recipeFor(canonical, naming, names);
      return recipe && canonicalShape(recipe, source);
    };
    this.source = source;
    this.naming = naming;
    this.config = configFromShapes(
      shapeOf,
      naming === 'timm' ? timmDefaults : clipDefaults,
      mergeHints(hintsFromSiblings(siblings, naming), hintsFromMetadata(metadata, path), activation),
      path,
    );
    const placed = new Set<string>();
    for (const [canonical, shape] of canonicalShapes(this.config)) {
      const recipe = recipeFor(canonical, naming, names)!;
      checkSources(canonical, recipe, shape, source);
      for (const name of recipe.sources) placed.add(name);
      this.#tensors.set(canonical, { shape, recipe });
    }
    const unexpected = [...tensors.values()].find((info) => !placed.has(info.name) && isTowerWeight(info));
    if (unexpected) {
      throw new UserError(
        `${path}: tensor ${unexpected.name} does not belong in this kind of model`,
        'Ignoring it would change the results: models with extra parts, or gaps in their numbering, are not supported.',
      );
    }
  }

  names(): string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#tensor(name).shape;
  }

  #tensor(name: string) {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new UserError(`${this.source.path}: this model has no tensor ${name}`);
    return tensor;
  }

  async read(name: string): Promise<Float32Array> {
    const { shape, recipe } = this.#tensor(name);
    const { sources, layout } = recipe;
    if (name === 'logit_scale') return this.#logitScale(sources[0]);
    if (layout === 'transposed') return transpose(await this.#finite(sources[0]), shape[0]!, shape[1]!);
    if (layout !== 'stacked') return this.#finite(sources[0]);
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    let at = 0;
    for (const part of sources) {
      const rows = await this.#finite(part);
      values.set(rows, at);
      at += rows.length;
    }
    return values;
  }

  /** Of a tensor of the file; one number that is not finite would make every feature NaN. */
  async #finite(name: string): Promise<Float32Array> {
    const { path, tensors } = this.source;
    return requireFinite(await this.source.read(name), tensors.get(name)!.shape, `${path}: tensor ${name}`);
  }

  /** The logarithm of what multiplies the cosines; CLIP holds it below ln(100). */
  async #logitScale(name: string): Promise<Float32Array> {
    const values = await this.#finite(name);
    if (Math.abs(values[0]!) > largestLogitScale)
      throw new UserError(
        `${this.source.path}: tensor ${name} is ${values[0]}, beyond ±${largestLogitScale}`,
        'It is the logarithm of a scale: in CLIP, 4.6.',
      );
    return values;
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

/** The later and the more explicit source wins. */
function mergeHints(
  folder: ConfigHints,
  metadata: ConfigHints,
  activation: Activation | undefined,
): ConfigHints {
  const explicit = activation && { activation };
  return {
    vision: { ...folder.vision, ...metadata.vision, ...explicit },
    text: { ...folder.text, ...metadata.text, ...explicit },
  };
}

/** The shape a recipe yields; undefined when a source is missing. */
function canonicalShape({ sources, layout }: Recipe, { tensors }: TensorFile): readonly number[] | undefined {
  const shape = tensors.get(sources[0])?.shape;
  if (!shape) return undefined;
  if (layout === 'stacked') return shape.length ? [sources.length * shape[0]!, ...shape.slice(1)] : shape;
  if (layout === 'transposed') return [...shape].reverse();
  return layout === 'squeezed' && shape[0] === 1 ? shape.slice(shape.findIndex((size) => size !== 1)) : shape;
}

function checkSources(
  canonical: string,
  { sources, layout }: Recipe,
  shape: readonly number[],
  { path, tensors }: TensorFile,
): void {
  const expected =
    layout === 'stacked'
      ? [shape[0]! / sources.length, ...shape.slice(1)]
      : layout === 'transposed'
        ? [...shape].reverse()
        : shape;
  for (const name of sources) {
    const found = tensors.get(name)?.shape;
    const label = name === canonical ? name : `${name} (${canonical})`;
    if (!found) {
      throw new UserError(
        `${path}: tensor ${label} is missing, expected [${expected.join(', ')}]`,
        'The file is incomplete or holds another kind of model.',
      );
    }
    if (!sameShape(found, expected, layout === 'squeezed' || shape.length === 0)) {
      throw new UserError(
        `${path}: tensor ${label} has the shape [${found.join(', ')}], expected [${expected.join(', ')}]`,
        'The file is damaged or holds another kind of model.',
      );
    }
  }
}

/** `leading`: whether the found shape may have sizes of 1 in front. */
function sameShape(found: readonly number[], expected: readonly number[], leading: boolean): boolean {
  const extra = found.length - expected.length;
  if (extra < 0 || (extra > 0 && !leading)) return false;
  return found.every((size, d) => size === (d < extra ? 1 : expected[d - extra]));
}

/** A matrix [columns, rows] as [rows, columns]. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[row * columns + column] = values[column * rows + row]!;
  }
  return result;
}
