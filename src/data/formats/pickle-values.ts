import { shown } from '../../common/errors.ts';
import { costs, type PickleBudget } from './pickle-budget.ts';

/**
 * What a pickle may hold here. Lists and tuples are arrays, dicts are Maps, sets are Sets, bytes are Uint8Arrays,
 * integers beyond 2^53 are bigints; objects of classes are inert records, classes themselves are markers.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickleObject
  | PickleGlobal
  | PickleOpaque;

/** A value of the caller's own kind, such as a tensor, which the reader only passes on. */
export abstract class PickleOpaque {
  abstract readonly kind: string;
}

/** An object of a class: its name and its state, with no behavior. */
export class PickleObject {
  readonly className: string;
  state: PickleValue = null;

  constructor(className: string) {
    this.className = className;
  }
}

/** What calling a name yields; what it makes beyond one small object is to be counted in the budget first. */
export type PickleFunction = (args: PickleValue[], budget: PickleBudget) => PickleValue;

/** A name that a pickle refers to, and what calling it yields. */
export class PickleGlobal {
  readonly name: string;
  /** The value of `name(*args)`; absent for names that are only mentioned. */
  readonly call: PickleFunction | undefined;

  constructor(name: string, call?: PickleFunction) {
    this.name = name;
    this.call = call;
  }
}

/** A class whose objects are records without behavior, whatever they are made with. */
export function recordClass(name: string): PickleGlobal {
  return new PickleGlobal(name, () => new PickleObject(name));
}

const list: PickleFunction = ([items], budget) => {
  const all = iterate(items, budget);
  budget.container('list', sizeOf(all));
  return [...all];
};
const set: PickleFunction = ([items], budget) => {
  const all = iterate(items, budget);
  budget.container('hash', sizeOf(all));
  return new Set(all);
};

const containers: Readonly<Record<string, PickleFunction>> = {
  dict: ([items], budget) => makeMap(items, budget),
  list,
  tuple: list,
  set,
  frozenset: set,
};

/** Occur as a defaultdict's factory or an object's base class; nothing needs to call them. */
const mentionable = new Set(['int', 'float', 'bool', 'str', 'object']);

/** The names of Python's own that every pickle may use: containers, and how bytes and plain objects are written. */
export function containerGlobal(module: string, name: string): PickleGlobal | undefined {
  const full = `${module}.${name}`;
  if (module === 'builtins' || module === '__builtin__') {
    if (Object.hasOwn(containers, name)) return new PickleGlobal(full, containers[name]);
    return mentionable.has(name) ? new PickleGlobal(full) : undefined;
  }
  switch (full) {
    case 'collections.OrderedDict':
      return new PickleGlobal(full, containers.dict);
    case 'collections.defaultdict':
      return new PickleGlobal(full, (_, budget) => makeMap(undefined, budget));
    case '_codecs.encode':
      // How protocol 2 writes bytes: as the text of the same code points.
      return new PickleGlobal(full, ([text], budget) => {
        const characters = textOf(text);
        budget.take(costs.bytes + characters.length);
        return Uint8Array.from(Buffer.from(characters, 'latin1'));
      });
    case 'copy_reg._reconstructor':
    case 'copyreg._reconstructor':
      return new PickleGlobal(full, ([type], budget) => callGlobal(type, [], budget));
  }
  return undefined;
}

/** `type(*args)`, for a name that may be called. Throws `TypeError` for any other value. */
export function callGlobal(
  type: PickleValue | undefined,
  args: PickleValue[],
  budget: PickleBudget,
): PickleValue {
  if (!(type instanceof PickleGlobal)) throw new TypeError('something that is not a class is called');
  if (!type.call) throw new TypeError(`${type.name} is called`);
  return type.call(args, budget);
}

/** A value that must be a text. Throws `TypeError`. */
export function textOf(value: PickleValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`${describeValue(value)} is not a string`);
}

/** A value in a few words for a message. Lists of lists of … are not spelled out: their text could be endless. */
export function describeValue(value: PickleValue | undefined): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof PickleObject) return `an object of ${shown(value.className)}`;
  if (value instanceof PickleGlobal) return shown(value.name);
  if (value instanceof PickleOpaque) return `a ${value.kind}`;
  return shown(value ?? null);
}

const sizeOf = (items: readonly PickleValue[] | ReadonlySet<PickleValue>): number =>
  'size' in items ? items.size : items.length;

function iterate(value: PickleValue | undefined, budget: PickleBudget): PickleValue[] | Set<PickleValue> {
  if (value === undefined) return [];
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) {
    budget.container('hash', value.size);
    return new Set(value.keys());
  }
  throw new TypeError('a container is built from something that is not a container');
}

function makeMap(items: PickleValue | undefined, budget: PickleBudget): Map<PickleValue, PickleValue> {
  if (items instanceof Map) {
    budget.container('hash', items.size);
    return new Map(items);
  }
  const pairs = iterate(items, budget);
  budget.container('hash', sizeOf(pairs));
  const map = new Map<PickleValue, PickleValue>();
  for (const pair of pairs) {
    const [key, value] = Array.isArray(pair) && pair.length === 2 ? pair : [];
    if (key === undefined || value === undefined) throw new TypeError('a dict is built from non-pairs');
    map.set(key, value);
  }
  return map;
}
