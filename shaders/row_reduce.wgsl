// out[row] = factor · the sum of a row's elements (OPERATION SUM), of their squares, or the largest of them: a reduction over axis
// -1. The last row may be shorter: `size` is the number of elements of x in all, so that any buffer may be cut into rows and
// reduced to one number in a few passes.
//
// The lanes that share a row (lib_rows.wgsl) take every LANES-th element, in four interleaved sums, which also keeps
// the rounding error of long rows small. Traffic: one read an element.
//@work size * (1 + (OPERATION == SQUARES)) operations, 4 * (size + rows) bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

const OPERATION = 0u; // one of these
const SUM = 0u;
const SQUARES = 1u;
const MAX = 2u;

struct Params { rows: u32, width: u32, size: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn join(so_far: f32, value: f32) -> f32 {
  switch OPERATION {
    case SUM: { return so_far + value; }
    case SQUARES: { return fma(value, value, so_far); }
    default: { return max(so_far, value); }
  }
}

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let end = min(start + params.width, params.size);
  var s = vec4f(select(0.0, x[start], OPERATION == MAX));
  var i = start + lane;
  for (; i + 3u * LANES < end; i += 4u * LANES) {
    s = vec4f(join(s.x, x[i]), join(s.y, x[i + LANES]), join(s.z, x[i + 2u * LANES]), join(s.w, x[i + 3u * LANES]));
  }
  for (; i < end; i += LANES) {
    s.x = join(s.x, x[i]);
  }
  var result = 0.0;
  if (OPERATION == MAX) {
    result = row_max(max(max(s.x, s.y), max(s.z, s.w)), lane);
  } else {
    result = row_sum((s.x + s.y) + (s.z + s.w), lane) * params.factor;
  }
  if (lane == 0u) {
    out[row] = result;
  }
}
