/** Models written as ONNX: a graph from float32 inputs to outputs, parameters as its constants. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TensorProto_DataType as Type,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';

const microsoft = 'com.microsoft';

/** Collects nodes; every method that adds something gives its name. */
export class Graph {
  #nodes = [];
  #constants = [];
  #inputs = [];
  #count = 0;

  input(name, dims) {
    this.#inputs.push(valueInfo(name, dims));
    return name;
  }

  /** Float32Array, or BigInt64Array for shapes. */
  constant(data, dims) {
    const name = `c${this.#count++}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const dataType = data instanceof BigInt64Array ? Type.INT64 : Type.FLOAT;
    this.#constants.push(create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt), rawData }));
    return name;
  }

  /** One node; its first output's name, or the names of `outputs` outputs. Attributes are whole numbers, or floats as {float}. */
  add(opType, inputs, attributes = {}, { domain = '', outputs = 0 } = {}) {
    const names = Array.from({ length: outputs || 1 }, () => `t${this.#count++}`);
    const attribute = Object.entries(attributes).map(([name, value]) =>
      create(
        AttributeProtoSchema,
        typeof value === 'number'
          ? { name, type: Kind.INT, i: BigInt(value) }
          : { name, type: Kind.FLOAT, f: value.float },
      ),
    );
    this.#nodes.push(create(NodeProtoSchema, { opType, domain, input: inputs, output: names, attribute }));
    return outputs ? names : names[0];
  }

  /** An operator of onnxruntime's own. */
  addOwn(opType, inputs, attributes) {
    return this.add(opType, inputs, attributes, { domain: microsoft });
  }

  /** The model as bytes. */
  model(output, dims) {
    const graph = create(GraphProtoSchema, {
      name: 'task',
      node: this.#nodes,
      initializer: this.#constants,
      input: this.#inputs,
      output: [valueInfo(output, dims)],
    });
    const opsets = [
      ['', 17n],
      [microsoft, 1n],
    ].map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version }));
    return toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { irVersion: 8n, opsetImport: opsets, graph }),
    );
  }
}

function valueInfo(name, dims) {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(size) } }),
  );
  const shape = create(TensorShapeProtoSchema, { dim });
  const value = create(TypeProto_TensorSchema, { elemType: Type.FLOAT, shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value } }),
  });
}
