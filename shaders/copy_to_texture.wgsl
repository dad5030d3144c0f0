// A matrix in a texture, row by row, where a copy from buffer to texture cannot make it: texel (k, row) holds
//   x[row, 4k], x[row, 4k + 1], x[row, 4k + 2], x[row, 4k + 3].
//
// x lies as [rows][K], its rows no multiple of 256 bytes long, or TRANSPOSED as [K][rows]; steps of k beyond K count as
// zeros. Entries of a batch stand below one another. Every word is read once and written once: 8·rows·K bytes. A lane takes
// TEXELS_PER_LANE texels of a row. Vector loads run along the contiguous index, whose length must be a multiple of 4.
//@work 0 operations, (8 - 2 * HALF) * z * rows * k bytes

const TRANSPOSED = 0u;
const HALF = 0u; // x holds halves, two to a word
const TEXELS_PER_LANE = 8u;

struct Params {
  rows: u32, k: u32,
  batch: u32, // stride of a batch entry in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
//@if HALF
@group(0) @binding(1) var<storage, read> halves: array<vec2u>;
//@else
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
//@end
@group(0) @binding(2) var texture: texture_storage_2d<rgba32float, write>;

fn x_at(i: u32) -> vec4f {
  //@if HALF
  let words = halves[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  //@else
  return x[i];
  //@end
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k4 = (params.k + 3u) / 4u;
  let source = group.z * params.batch;
  let top = group.z * params.rows;
  let first = group.x * TEXELS_PER_LANE;
  let last = min(first + TEXELS_PER_LANE, k4);
  //@if TRANSPOSED
  // A lane turns blocks of 4 x 4: its 4 rows of the result from 4 steps of k.
  let row4 = params.rows / 4u;
  let column = min(group.y * 8u + lane, row4 - 1u);
  for (var k = first; k < last; k++) {
    //@for j in 0..4
    let k_$j = min(4u * k + $ju, params.k - 1u);
    let x_$j = select(vec4f(), x_at(source + k_$j * row4 + column), 4u * k + $ju < params.k);
    //@end
    //@for r in 0..4
    textureStore(texture, vec2u(k, top + column * 4u + $ru), vec4f(x_0[$r], x_1[$r], x_2[$r], x_3[$r]));
    //@end
  }
  //@else
  let row = min(group.y * 8u + lane, params.rows - 1u);
  for (var k = first; k < last; k++) {
    textureStore(texture, vec2u(k, top + row), x_at(source + row * k4 + k));
  }
  //@end
}
