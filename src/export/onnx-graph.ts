import { UserError } from '../common/errors.ts';
import {
  byteLength,
  bytesField,
  floatField,
  integerField,
  type Message,
  packedIntegers,
} from '../data/formats/protobuf.ts';

/** The operator set of the graphs (ONNX 1.12): the first with LayerNormalization. Read by onnxruntime 1.12 and newer. */
const opset = 17;
const irVersion = 8;

/** Protobuf's limit for one message; larger models would need their tensors in files of their own. */
const largestModel = 2 ** 31 - 1;

/** TensorProto.DataType */
const dataTypes = { float32: 1, uint8: 2, int64: 7, float16: 10 } as const;
export type OnnxType = keyof typeof dataTypes;

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/** A size, or the name of one that is free. */
export type OnnxDim = number | string;

/** A whole number, a list of them, or a float. */
export type OnnxAttribute = number | readonly number[] | { readonly float: number };

/** The name of a value in a graph: an input, a constant, or a node's output. */
export type OnnxValue = string;

export interface OnnxModel {
  readonly graphName: string;
  readonly producerVersion: string;
  /** What people read: a model card. */
  readonly description: string;
  /** What programs read, by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * An ONNX graph under construction; every method that adds something returns the name of its value. Field numbers and
 * meanings are those of onnx.proto (github.com/onnx/onnx).
 */
export class OnnxGraph {
  readonly #nodes: Message[] = [];
  readonly #constants: Message[] = [];
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  #count = 0;

  input(name: string, type: OnnxType, dims: readonly OnnxDim[], description = ''): OnnxValue {
    this.#inputs.push(valueInfo(name, type, dims, description));
    return name;
  }

  output(value: OnnxValue, name: string, dims: readonly OnnxDim[], description = ''): void {
    this.#nodes.push(node('Identity', [value], name, {}));
    this.#outputs.push(valueInfo(name, 'float32', dims, description));
  }

  /** Float32 values, the bits of halves, or whole numbers (int64, as shapes and axes are given). */
  constant(data: Float32Array | Uint16Array | BigInt64Array, dims: readonly number[], name = ''): OnnxValue {
    const type = data instanceof Float32Array ? 'float32' : data instanceof Uint16Array ? 'float16' : 'int64';
    const named = name || `c${this.#count++}`;
    this.#constants.push([
      ...packedIntegers(1, dims),
      ...integerField(2, dataTypes[type]),
      ...bytesField(8, named),
      ...bytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ]);
    return named;
  }

  /** A float32 number. */
  scalar(value: number): OnnxValue {
    return this.constant(Float32Array.of(value), []);
  }

  /** Whole numbers: a shape, axes, or indices. */
  integers(...values: readonly number[]): OnnxValue {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** A node of one output. */
  add(
    operator: string,
    inputs: readonly OnnxValue[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): OnnxValue {
    const name = `${operator.toLowerCase()}${this.#count++}`;
    this.#nodes.push(node(operator, inputs, name, attributes));
    return name;
  }

  /** x in another shape; 0 keeps the size x has there, -1 is whatever remains. */
  reshape(x: OnnxValue, ...shape: readonly number[]): OnnxValue {
    return this.add('Reshape', [x, this.integers(...shape)]);
  }

  /** Elements `begin` to `end` of x along an axis. */
  slice(x: OnnxValue, axis: number, begin: number, end: number): OnnxValue {
    return this.add('Slice', [x, this.integers(begin), this.integers(end), this.integers(axis)]);
  }

  /**
   * The model as the bytes of its file.
   *
   * @throws UserError if they exceed what one protobuf message may hold, 2 GiB
   */
  model({ graphName, producerVersion, description, metadata }: OnnxModel): Message {
    const graph = [
      ...this.#nodes.flatMap((message) => bytesField(1, message)),
      ...bytesField(2, graphName),
      ...this.#constants.flatMap((message) => bytesField(5, message)),
      ...this.#inputs.flatMap((message) => bytesField(11, message)),
      ...this.#outputs.flatMap((message) => bytesField(12, message)),
    ];
    const model = [
      ...integerField(1, irVersion),
      ...bytesField(2, 'clip-agiqa-webgpu'),
      ...bytesField(3, producerVersion),
      ...bytesField(6, description),
      ...bytesField(7, graph),
      ...bytesField(8, [...bytesField(1, ''), ...integerField(2, opset)]),
      ...Object.entries(metadata).flatMap(([name, value]) =>
        bytesField(14, [...bytesField(1, name), ...bytesField(2, value)]),
      ),
    ];
    const size = byteLength(model);
    if (size > largestModel)
      throw new UserError(
        `the model has ${(size / 2 ** 30).toFixed(1)} GiB, more than an ONNX file holds (2 GiB)`,
        'Use --dtype float16.',
      );
    return model;
  }
}

function node(
  operator: string,
  inputs: readonly OnnxValue[],
  output: OnnxValue,
  attributes: Readonly<Record<string, OnnxAttribute>>,
): Message {
  return [
    ...inputs.flatMap((name) => bytesField(1, name)),
    ...bytesField(2, output),
    ...bytesField(4, operator),
    ...Object.entries(attributes).flatMap(([name, value]) => bytesField(5, attribute(name, value))),
  ];
}

function attribute(name: string, value: OnnxAttribute): Message {
  const [type, field] =
    typeof value === 'number'
      ? (['int', integerField(3, value)] as const)
      : 'float' in value
        ? (['float', floatField(2, value.float)] as const)
        : (['ints', value.flatMap((one) => integerField(8, one))] as const);
  return [...bytesField(1, name), ...field, ...integerField(20, attributeTypes[type])];
}

function valueInfo(name: string, type: OnnxType, dims: readonly OnnxDim[], description: string): Message {
  const shape = dims.flatMap((dim) =>
    bytesField(1, typeof dim === 'number' ? integerField(1, dim) : bytesField(2, dim)),
  );
  const tensor = [...integerField(1, dataTypes[type]), ...bytesField(2, shape)];
  return [...bytesField(1, name), ...bytesField(2, bytesField(1, tensor)), ...bytesField(3, description)];
}
