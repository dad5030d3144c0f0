// An operand of a matrix product, copied into texels in the order in which matmul_packed.wgsl reads them:
//
//   packed[batch][row / 8][k / 4][row % 8] = (x[row, k], x[row, k + 1], x[row, k + 2], x[row, k + 3])
//
// so that the 8 lanes of a subgroup read 8 texels side by side, and a tile of 8 rows is one stream. "Rows" are rows of A or
// columns of B. x lies as [rows][K], or TRANSPOSED as [K][rows]; steps of k beyond K count as zeros. The rows that fill up
// the last 8 are copies of the last one, or anything: their products are not stored.
//
// Every word is read once and written once; a lane takes EACH steps of 4 k. Vector loads run along the contiguous index,
// whose length must be a multiple of 4.

const TRANSPOSED = 0u;
const UPRIGHT = 1u;
const HALF = 0u; // x holds halves, two to a word
const FULL = 1u;
const EACH = 8u;
const WIDTH = 4096u; // texels in a row of the texture

struct Params {
  rows: u32, k: u32,
  batch: u32, // stride of a batch entry in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
//@if HALF
@group(0) @binding(1) var<storage, read> halves: array<vec2u>;
//@end
//@if FULL
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
//@end
@group(0) @binding(2) var packed: texture_storage_2d<rgba32float, write>;

fn x_at(i: u32) -> vec4f {
  //@if HALF
  let words = halves[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  //@end
  //@if FULL
  return x[i];
  //@end
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k4 = (params.k + 3u) / 4u;
  let source = group.z * params.batch;
  let to = group.z * ((params.rows + 7u) / 8u) * k4;
  let first = group.x * EACH;
  let last = min(first + EACH, k4);
  //@if UPRIGHT
  let row = source + min(group.y * 8u + lane, params.rows - 1u) * k4;
  for (var k = first; k < last; k++) {
    let i = (to + group.y * k4 + k) * 8u + lane;
    textureStore(packed, vec2u(i % WIDTH, i / WIDTH), x_at(row + k));
  }
  //@end
  //@if TRANSPOSED
  // A lane turns blocks of 4 x 4: its 4 rows of the result from 4 steps of k.
  let row4 = params.rows / 4u;
  let column = min(group.y * 8u + lane, row4 - 1u);
  for (var k = first; k < last; k++) {
    //@for j in 0..4
    let k_$j = min(4u * k + $ju, params.k - 1u);
    let x_$j = select(vec4f(), x_at(source + k_$j * row4 + column), 4u * k + $ju < params.k);
    //@end
    let i = (to + column / 2u * k4 + k) * 8u + column % 2u * 4u;
    //@for r in 0..4
    textureStore(packed, vec2u((i + $ru) % WIDTH, (i + $ru) / WIDTH), vec4f(x_0[$r], x_1[$r], x_2[$r], x_3[$r]));
    //@end
  }
  //@end
}
