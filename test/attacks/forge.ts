import { constants, crc32, deflateRawSync } from 'node:zlib';

/** An entry of a forged archive: its packed bytes, and what its directory says of it, whether true or not. */
export interface ForgedEntry {
  readonly name: string;
  readonly packed: Buffer;
  /** 0: stored, 8: deflated. */
  readonly method: 0 | 8;
  readonly size: number;
  readonly crc: number;
  /** Where its local header begins; by default where it is written. `null` writes none. */
  readonly at?: number;
}

export const storedEntry = (name: string, data: Buffer): ForgedEntry => ({
  name,
  packed: data,
  method: 0,
  size: data.length,
  crc: crc32(data),
});

export const deflatedEntry = (name: string, data: Buffer): ForgedEntry => ({
  name,
  packed: deflateRawSync(data),
  method: 8,
  size: data.length,
  crc: crc32(data),
});

const runBlock = 2 ** 24;

/** A deflate stream of `blocks` times 16 MiB of one byte, made in the time of one. */
export function deflatedRun(byte: number, blocks: number): { packed: Buffer; size: number } {
  const packed = deflateRawSync(Buffer.alloc(runBlock, byte), { finishFlush: constants.Z_FULL_FLUSH });
  // A last block that is empty ends the stream.
  return {
    packed: Buffer.concat([...Array<Buffer>(blocks).fill(packed), Buffer.of(3, 0)]),
    size: blocks * runBlock,
  };
}

/** The same as an entry of an archive; the checksum of a long one is wrong, since nobody should get as far. */
export function runEntry(name: string, byte: number, blocks: number): ForgedEntry {
  const block = Buffer.alloc(runBlock, byte);
  let crc = 0;
  for (let i = 0; i < Math.min(blocks, 4); i++) crc = crc32(block, crc);
  return { name, ...deflatedRun(byte, blocks), method: 8, crc };
}

/** An archive (APPNOTE.TXT 4.3) of entries as forged; with `zip64`, also that format's end records, as PyTorch writes them. */
export function forgeZip(
  entries: readonly ForgedEntry[],
  { zip64 = false, count = entries.length }: { zip64?: boolean; count?: number } = {},
): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, packed, method, size, crc, at } of entries) {
    const text = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(text.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at ?? offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, text);
    if (at !== undefined) continue;
    const local = [Buffer.from('PK\x03\x04', 'latin1'), common, text, packed];
    files.push(...local);
    offset += local.reduce((sum, part) => sum + part.length, 0);
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  if (!zip64) return Buffer.concat([...files, listing, end]);
  const record = Buffer.alloc(56);
  record.write('PK\x06\x06', 'latin1');
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(listing.length), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(BigInt(offset + listing.length), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([...files, listing, record, locator, end]);
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A PyTorch archive around a pickle, given one character a byte. */
export const torchFile = (pickle: string | Buffer, more: readonly ForgedEntry[] = []): Buffer =>
  forgeZip([
    (pickle.length > 100_000 ? deflatedEntry : storedEntry)(
      'x/data.pkl',
      typeof pickle === 'string' ? latin1(pickle) : pickle,
    ),
    ...more,
  ]);

/** The opcodes of a text (BINUNICODE). */
export function pickled(text: string): string {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(text));
  return `X${length.toString('latin1')}${Buffer.from(text).toString('latin1')}`;
}

/** The opcodes of a whole number (BININT, or LONG1 beyond 31 bits). */
export function pickledInteger(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return value >= -(2 ** 31) && value < 2 ** 31
    ? `J${bytes.toString('latin1', 0, 4)}`
    : `\x8a\x08${bytes.toString('latin1')}`;
}

/** The opcodes of a tensor that views storage `key`, of `length` elements. */
export function pickledTensor(
  key: string,
  length: number,
  shape: readonly number[],
  strides: readonly number[],
  storage = 'FloatStorage',
): string {
  const tuple = (sizes: readonly number[]) => `(${sizes.map(pickledInteger).join('')}t`;
  return `ctorch._utils\n_rebuild_tensor_v2\n((${pickled('storage')}ctorch\n${storage}\n${pickled(key)}${pickled('cpu')}${pickledInteger(length)}tQK\x00${tuple(shape)}${tuple(strides)}\x89}tR`;
}

/** A state dict of tensors given as opcodes. */
export const pickledDict = (tensors: Readonly<Record<string, string>>): string =>
  `\x80\x02}(${Object.entries(tensors)
    .map(([name, tensor]) => pickled(name) + tensor)
    .join('')}u.`;

/** `value` doubled into lists of two of the former, `levels` times: 2^levels items when spelled out. */
export const doubled = (value: string, levels: number): string =>
  `${value}${Array.from({ length: levels }, (_, i) => `q${String.fromCharCode(i)}0(h${String.fromCharCode(i)}h${String.fromCharCode(i)}l`).join('')}`;

/** A safetensors file: the header's text, then zeros. */
export function forgeSafetensors(header: string | object, bytes = 0, claimed?: bigint): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.alloc(bytes)]);
}

/** A MATLAB file (level 5, little-endian) of elements. */
export function forgeMat(elements: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, forged', 'latin1');
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126, 'latin1');
  return Buffer.concat([header, ...elements]);
}

/** An element: its tag, its data, and zeros up to a multiple of 8 unless it is compressed (type 15). */
export function matElement(type: number, data: Buffer, length = data.length): Buffer {
  const tag = Buffer.alloc(8);
  tag.writeUInt32LE(type, 0);
  tag.writeUInt32LE(length, 4);
  return Buffer.concat([tag, data, Buffer.alloc(type === 15 ? 0 : -data.length & 7)]);
}

const int32s = (values: readonly number[]): Buffer => Buffer.from(Int32Array.from(values).buffer);

/** A double matrix. */
export const matMatrix = (
  name: string,
  shape: readonly number[],
  data: readonly number[],
  flags: Buffer = int32s([6, 0]),
): Buffer =>
  matElement(
    14,
    Buffer.concat([
      matElement(6, flags),
      matElement(5, int32s(shape)),
      matElement(1, Buffer.from(name)),
      matElement(9, Buffer.from(Float64Array.from(data).buffer)),
    ]),
  );
