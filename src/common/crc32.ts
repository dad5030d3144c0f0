/** CRC-32 of eight bytes at once (Kounavis and Berry, "slicing by 8"): table k holds the sum of a byte with k zero bytes after it. */
const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  tables[0]![byte] = sum;
}
for (let k = 1; k < 8; k++)
  for (let byte = 0; byte < 256; byte++) {
    const sum = tables[k - 1]![byte]!;
    tables[k]![byte] = (sum >>> 8) ^ tables[0]![sum & 255]!;
  }
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
  ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
];

/** The CRC-32 of bytes, as zip files have it; `before` is that of the bytes in front of them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - (bytes.length % 8);
  let sum = ~before;
  let at = 0;
  for (; at < whole; at += 8) {
    const low = sum ^ view.getUint32(at, true);
    const high = view.getUint32(at + 4, true);
    sum =
      t7[low & 255]! ^
      t6[(low >>> 8) & 255]! ^
      t5[(low >>> 16) & 255]! ^
      t4[low >>> 24]! ^
      t3[high & 255]! ^
      t2[(high >>> 8) & 255]! ^
      t1[(high >>> 16) & 255]! ^
      t0[high >>> 24]!;
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ t0[(sum ^ bytes[at]!) & 255]!;
  return ~sum >>> 0;
}
