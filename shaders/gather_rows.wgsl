// out[i, c] = table[indices[i], c]: rows of a matrix by number, the token embedding among them. Traffic: a read and a write
// an element. With BASE base[i, c] is added, and a number beyond the table's rows stands for a row of zeros.
//@work size * BASE operations, (8 - 2 * HALF + 4 * BASE) * size + 4 * size / width bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

const HALF = 0u; // the table holds halves, two to a word
const BASE = 0u;

struct Params { size: u32, width: u32, rows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
//@if BASE
@group(0) @binding(3) var<storage, read> base: array<f32>;
//@end
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  let row = indices[i / params.width];
  let at = row * params.width + i % params.width;
  //@if HALF
  var value = unpack2x16float(table[at / 2u])[at & 1u];
  //@else
  var value = bitcast<f32>(table[at]);
  //@end
  //@if BASE
  value = base[i] + select(0.0, value, row < params.rows);
  //@end
  out[i] = value;
}
