import { shown, UserError } from '../../common/errors.ts';
import { checkLimit, limit } from '../../common/limits.ts';
import {
  callGlobal,
  describeValue,
  type PickleFunction,
  PickleGlobal,
  PickleObject,
  PickleOpaque,
  type PickleValue,
  recordClass,
  textOf,
} from './pickle-values.ts';
import type { DType } from './tensor.ts';

/** Bytes that tensors share: an entry of the archive. */
export class TorchStorage extends PickleOpaque {
  readonly kind = 'storage';
  readonly key: string;
  /** Undefined for untyped storages. */
  readonly dtype: DType | undefined;
  /** In elements, or in bytes when untyped. */
  readonly length: number;
  /** Where this one begins within the stored bytes of `key`, in elements. */
  readonly start: number;

  constructor(key: string, dtype: DType | undefined, length: number, start = 0) {
    super();
    this.key = key;
    this.dtype = dtype;
    this.length = length;
    this.start = start;
  }
}

/** A view of a storage; offset and strides count elements. */
export class TorchTensor extends PickleOpaque {
  readonly kind = 'tensor';
  readonly storage: TorchStorage;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    dtype: DType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    super();
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** Where the bytes of storages lie, by key. */
export interface StorageSource {
  /** Bytes stored under a key; undefined when there are none. */
  sizeOf(key: string): number | undefined;
  read(key: string, offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

class NumpyType extends PickleObject {
  readonly code: string;

  constructor(code: string) {
    super('numpy.dtype');
    this.code = code;
  }
}

const storageTypes: Readonly<Record<string, DType>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

const elementTypes: Readonly<Record<string, DType>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

const first = ([value]: PickleValue[]): PickleValue => value ?? null;

const functions: Readonly<Record<string, PickleFunction>> = {
  'torch.Size': first,
  'torch.device': ([type]) => textOf(type),
  'torch._utils._rebuild_tensor': (args) => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v2': (args) => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v3': ([storage, offset, shape, strides, , , dtype]) =>
    rebuildTensor([storage, offset, shape, strides], elementType(dtype)),
  'torch._utils._rebuild_parameter': first,
  'torch._utils._rebuild_parameter_with_state': first,
  'torch._tensor._rebuild_from_type_v2': ([rebuild, , args], budget) => {
    if (!Array.isArray(args)) throw new TypeError('a tensor is rebuilt without arguments');
    // Only the functions above: one that calls itself with its own arguments would not end.
    if (!(rebuild instanceof PickleGlobal) || !rebuild.name.startsWith('torch._utils._rebuild_'))
      throw new TypeError(`a tensor is rebuilt by ${describeValue(rebuild)}`);
    return callGlobal(rebuild, args, budget);
  },
  'torch.jit._pickle.build_intlist': first,
  'torch.jit._pickle.build_doublelist': first,
  'torch.jit._pickle.build_boollist': first,
  'torch.jit._pickle.build_tensorlist': first,
  'torch.jit._pickle.restore_type_tag': first,
  'numpy.dtype': ([code]) => new NumpyType(textOf(code)),
  'numpy.core.multiarray.scalar': numpyScalar,
  'numpy._core.multiarray.scalar': numpyScalar,
};

/** Only mentioned, as the type of what something else rebuilds. */
const mentionable = new Set(['torch.nn.parameter.Parameter', 'torch.Tensor', 'torch.storage.UntypedStorage']);

/**
 * Classes whose objects are kept as records: a TorchScript archive's modules, and the optimizers and schedulers that
 * a trainer's checkpoint carries inside one another.
 */
const recordModules = /^(__torch__(\.|$)|torch\.optim\.|torch\.cuda\.amp\.|dassl\.optim\.)/;

/** The names that PyTorch's files use; undefined for any other. */
export function torchGlobal(module: string, name: string): PickleGlobal | undefined {
  const full = `${module}.${name}`;
  if (Object.hasOwn(functions, full)) return new PickleGlobal(full, functions[full]);
  if (mentionable.has(full)) return new PickleGlobal(full);
  if (module === 'torch' && (Object.hasOwn(storageTypes, name) || Object.hasOwn(elementTypes, name))) {
    return new PickleGlobal(full);
  }
  if (recordModules.test(module) && /^\w+$/.test(name)) return recordClass(full);
  return undefined;
}

/** The storage that a persistent id `('storage', type, key, device, length[, view])` names. */
export function torchStorage(id: PickleValue): TorchStorage {
  if (!Array.isArray(id) || id[0] !== 'storage' || !(id[1] instanceof PickleGlobal)) {
    throw new TypeError('a persistent id does not name a storage');
  }
  const [, type, key, , length, view] = id;
  const dtype = storageTypes[type.name.replace(/^torch\./, '')];
  if (!dtype && type.name !== 'torch.storage.UntypedStorage')
    throw new TypeError(`${type.name} is not a storage`);
  if (typeof key !== 'string') throw new TypeError('a storage has no key');
  // The old format could store a view of a storage: (its own key, where it begins, its length).
  if (Array.isArray(view)) return new TorchStorage(key, dtype, sizeOf(length), sizeOf(view[1]));
  return new TorchStorage(key, dtype, sizeOf(length));
}

function rebuildTensor(
  [storage, offset, shape, strides]: readonly (PickleValue | undefined)[],
  dtype?: DType,
): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw new TypeError('a tensor has no storage');
  const type = dtype ?? storage.dtype;
  if (!type) throw new TypeError('a tensor has no element type');
  const sizes = sizesOf(shape);
  const steps = sizesOf(strides);
  if (sizes.length !== steps.length)
    throw new TypeError('a tensor has different numbers of sizes and strides');
  return new TorchTensor(storage, type, storage.start + sizeOf(offset), sizes, steps);
}

function elementType(value: PickleValue | undefined): DType {
  const name = value instanceof PickleGlobal ? value.name.replace(/^torch\./, '') : '';
  const type = Object.hasOwn(elementTypes, name) ? elementTypes[name] : undefined;
  if (!type) throw new TypeError('a tensor has an unknown element type');
  return type;
}

function sizeOf(value: PickleValue | undefined): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`${describeValue(value)} is not a size`);
}

function sizesOf(value: PickleValue | undefined): number[] {
  if (!Array.isArray(value)) throw new TypeError('a tensor has no shape');
  if (value.length > limit('shapeRank'))
    throw new TypeError(`a tensor has ${value.length} dimensions, beyond the limit of ${limit('shapeRank')}`);
  return value.map(sizeOf);
}

/** Like the state that numpy pickles with a scalar's type, `(version, byte order, …)`. */
function numpyScalar([type, bytes]: PickleValue[]): PickleValue {
  if (!(type instanceof NumpyType) || !(bytes instanceof Uint8Array))
    throw new TypeError('a numpy scalar is malformed');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !(Array.isArray(type.state) && type.state[1] === '>');
  switch (type.code) {
    case 'f8':
      return view.getFloat64(0, little);
    case 'f4':
      return view.getFloat32(0, little);
    case 'i8':
      return Number(view.getBigInt64(0, little));
    case 'i4':
      return view.getInt32(0, little);
    case 'b1':
      return view.getUint8(0) !== 0;
  }
  throw new TypeError(`a numpy scalar has the type ${shown(type.code)}`);
}

/** Keys under which trainers keep the model's state dict beside other things. */
const stateDictKeys = ['state_dict', 'model_state_dict', 'model', 'module'];

/** Prefixes that parallel and compiling wrappers put before every name. */
const wrapperPrefixes = ['module.', '_orig_mod.'];

/**
 * The tensors of a state dict, a checkpoint around one, or a TorchScript module tree, by dotted name, without the
 * prefixes of wrappers.
 */
export function stateDictTensors(root: PickleValue, path: string): Map<string, TorchTensor> {
  const collector = new TensorCollector(path);
  collector.collect(findStateDict(root), '');
  let tensors = collector.found;
  if (tensors.size === 0) {
    throw new UserError(`${path}: holds no tensors`, 'Save a state dict: torch.save(model.state_dict(), …).');
  }
  for (let prefix = sharedPrefix(tensors); prefix; prefix = sharedPrefix(tensors)) {
    tensors = new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  }
  return tensors;
}

function findStateDict(root: PickleValue): PickleValue {
  if (!(root instanceof Map)) return root;
  for (const key of stateDictKeys) {
    const inner = root.get(key);
    if (inner instanceof Map) return inner;
  }
  return root;
}

function sharedPrefix(tensors: ReadonlyMap<string, TorchTensor>): string | undefined {
  return wrapperPrefixes.find((prefix) => [...tensors.keys()].every((name) => name.startsWith(prefix)));
}

/** More entries than any checkpoint has; dicts that hold one another many times would multiply without end. */
const largestTree = 1_000_000;
const deepestTree = 100;

class TensorCollector {
  readonly found = new Map<string, TorchTensor>();
  /** The containers on the way to the present one: a cycle among them ends there. */
  readonly #open = new Set<PickleValue>();
  readonly #path: string;
  #visited = 0;

  constructor(path: string) {
    this.#path = path;
  }

  collect(node: PickleValue, name: string): void {
    if (++this.#visited > largestTree) {
      throw new UserError(
        `${this.#path}: holds more than ${largestTree} entries`,
        'The file is damaged or malicious.',
      );
    }
    if (node instanceof TorchTensor) {
      this.found.set(name, node);
      checkLimit('tensors', this.found.size, (count) => `${this.#path}: holds ${count} tensors`);
      return;
    }
    const items = node instanceof PickleObject ? node.state : node;
    if (!(items instanceof Map) || this.#open.has(items) || this.#open.size > deepestTree) return;
    this.#open.add(items);
    for (const [key, value] of items) {
      if (typeof key !== 'string') continue;
      const length = name.length + 1 + key.length;
      checkLimit('nameLength', length, (characters) => `${this.#path}: a name has ${characters} characters`);
      this.collect(value, name ? `${name}.${key}` : key);
    }
    this.#open.delete(items);
  }
}
