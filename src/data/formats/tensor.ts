import { shown } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { elementCount } from '../../common/shape.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from './float16.ts';

/** Element types, named as safetensors names them. */
export type DType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

/** Bytes of one element. */
export const dtypeBytes: Readonly<Record<DType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** What a file says of one tensor before its values are read. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  /** Sizes, outermost first; empty for a single number. */
  readonly shape: readonly number[];
}

/** Named tensors in a file, opened for reading one by one. */
export interface TensorFile {
  readonly path: string;
  /** `safetensors`, `torch zip`, `torchscript`, `torch legacy` or `folder`. */
  readonly format: string;
  /** Texts stored beside the tensors; for a PyTorch checkpoint its numbers and strings, such as `epoch`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Values in row-major order as float32; other types are converted. Throws `UserError` for an unknown name. */
  read(name: string): Promise<Float32Array>;
  /** Values in row-major order as stored, little-endian. */
  readRaw(name: string): Promise<Uint8Array>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** One tensor's values on the host, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Throws `UserError` for a tensor that is too large to be held: as it is stored, or as float32. */
export function checkTensorBytes(path: string, { name, dtype, shape }: TensorInfo): void {
  checkLimit(
    'tensorBytes',
    elementCount(shape) * Math.max(4, dtypeBytes[dtype]),
    (bytes) => `${path}: tensor ${name} of shape ${shown(shape)} takes ${bytes} bytes`,
  );
}

/** Little-endian elements as float32 values. Shares memory with `bytes` where nothing has to be converted. */
export function toFloat32(dtype: DType, bytes: Uint8Array): Float32Array {
  const size = dtypeBytes[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const length = aligned.length / size;
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, length);
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'F64':
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case 'I64':
      return integersToFloat32(new BigInt64Array(buffer, byteOffset, length));
    case 'I32':
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case 'I16':
      return new Float32Array(new Int16Array(buffer, byteOffset, length));
    case 'I8':
      return new Float32Array(new Int8Array(buffer, byteOffset, length));
    case 'U8':
      return new Float32Array(aligned);
    case 'BOOL':
      return new Float32Array(aligned.map((value) => (value ? 1 : 0)));
  }
}

function integersToFloat32(integers: BigInt64Array): Float32Array {
  const values = new Float32Array(integers.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(integers[i]);
  return values;
}
