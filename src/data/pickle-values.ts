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

/** An object of a class: its name and its state, with no behaviour. */
export class PickleObject {
  readonly className: string;
  state: PickleValue = null;

  constructor(className: string) {
    this.className = className;
  }
}

/** A name that a pickle refers to, and what calling it yields. */
export class PickleGlobal {
  readonly name: string;
  /** The value of `name(*args)`; absent for names that are only mentioned. */
  readonly call: ((args: PickleValue[]) => PickleValue) | undefined;

  constructor(name: string, call?: (args: PickleValue[]) => PickleValue) {
    this.name = name;
    this.call = call;
  }
}

/** A class whose objects are records without behaviour, whatever they are made with. */
export function recordClass(name: string): PickleGlobal {
  return new PickleGlobal(name, () => new PickleObject(name));
}

const containers: Readonly<Record<string, (args: PickleValue[]) => PickleValue>> = {
  dict: ([items]) => makeMap(items),
  list: ([items]) => [...iterate(items)],
  tuple: ([items]) => [...iterate(items)],
  set: ([items]) => new Set(iterate(items)),
  frozenset: ([items]) => new Set(iterate(items)),
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
      return new PickleGlobal(full, () => new Map());
    case '_codecs.encode':
      // How protocol 2 writes bytes: as the text of the same code points.
      return new PickleGlobal(full, ([text]) => Uint8Array.from(Buffer.from(String(text), 'latin1')));
    case 'copy_reg._reconstructor':
    case 'copyreg._reconstructor':
      return new PickleGlobal(full, ([type]) => callGlobal(type, []));
  }
  return undefined;
}

/** `type(*args)`, for a name that may be called. Throws `TypeError` for any other value. */
export function callGlobal(type: PickleValue | undefined, args: PickleValue[]): PickleValue {
  if (!(type instanceof PickleGlobal)) throw new TypeError('something is called that is not a class');
  if (!type.call) throw new TypeError(`${type.name} is called`);
  return type.call(args);
}

function iterate(value: PickleValue | undefined): Iterable<PickleValue> {
  if (value === undefined) return [];
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return value.keys();
  throw new TypeError('a container is built from something that is none');
}

function makeMap(items: PickleValue | undefined): Map<PickleValue, PickleValue> {
  if (items instanceof Map) return new Map(items);
  const map = new Map<PickleValue, PickleValue>();
  for (const pair of iterate(items)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError('a dict is built from non-pairs');
    map.set(pair[0], pair[1]);
  }
  return map;
}
