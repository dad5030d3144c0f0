// out[i, c] = table[indices[i], c]: rows of a matrix by number, the token embedding among them. Traffic: a read and a write
// an element.
//@work 0 operations, (8 - 2 * HALF) * size + 4 * size / width bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

const HALF = 0u; // the table holds halves, two to a word

struct Params { size: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  let at = indices[i / params.width] * params.width + i % params.width;
  //@if HALF
  out[i] = unpack2x16float(table[at / 2u])[at & 1u];
  //@else
  out[i] = bitcast<f32>(table[at]);
  //@end
}
