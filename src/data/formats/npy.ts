/** NumPy's array format, version 1.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */

/** A matrix as a .npy file: float32, or float16 as bit patterns, rows one behind the other, little-endian. */
export function npyBytes(rows: number, columns: number, data: Float32Array | Uint16Array): Uint8Array {
  if (data.length !== rows * columns) throw new Error(`${data.length} numbers make no ${rows} x ${columns}`);
  const type = data instanceof Float32Array ? '<f4' : '<f2';
  const dict = `{'descr': '${type}', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  // Magic, version and length take 10 bytes; with them the header is a multiple of 64 long, so that the numbers lie aligned.
  const length = Math.ceil((dict.length + 11) / 64) * 64;
  const bytes = new Uint8Array(length + data.byteLength);
  bytes.set([0x93, ...Buffer.from('NUMPY'), 1, 0, (length - 10) & 0xff, (length - 10) >> 8]);
  bytes.set(Buffer.from(`${dict.padEnd(length - 11)}\n`), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), length);
  return bytes;
}
