// out = act(A·B + bias) + residual by register tiles, one subgroup a tile of 16 rows x 32 columns, B as [N][K] (a Linear layer's weight as it lies).
//
// A lane owns 4 columns and all 16 rows: 64 accumulators in registers. Per 4 steps of k it loads two vec4 of A (its own
// rows, lane and lane + 8) and four vec4 of B (its own 4 columns along k), and gets the
// other rows' values of A from its neighbours by subgroupBroadcast: 6 loads for 256 multiply-adds, no shared memory and
// no barrier. Only the first 8 lanes' registers are used, so any subgroup size of at least 8 will do.
//
// K must be a multiple of 4. Rows and columns beyond the matrix are read from its last ones and not written.

enable subgroups;

const BIAS = 0u;
const RESIDUAL = 0u;
const PREACTIVATION = 0u;
const ACTIVATION = 0u; // see lib_activation.wgsl
const HALF_B = 0u; // B holds halves, two to a word

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
//@if HALF_B
@group(0) @binding(2) var<storage, read> b_halves: array<vec2u>;
//@end
//@if FULL_B
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
//@end
//@if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
//@end
//@if RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<f32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
//@if PREACTIVATION
@group(0) @binding(6) var<storage, read_write> preactivation: array<f32>;
//@end

const FULL_B = 1u;

fn b_at(i: u32) -> vec4f {
  //@if HALF_B
  let words = b_halves[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  //@end
  //@if FULL_B
  return b[i];
  //@end
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = tile.y * 16u;
  let column = tile.x * 32u + lane * 4u;
  let k4 = params.k / 4u;
  let a_0 = tile.z * params.a_batch + min(row + lane, params.m - 1u) * k4;
  let a_1 = tile.z * params.a_batch + min(row + lane + 8u, params.m - 1u) * k4;
  //@for j in 0..4
  let b_at_$j = tile.z * params.b_batch + min(column + $ju, params.n - 1u) * k4;
  //@end
  //@for r in 0..16
  //@for j in 0..4
  var sum_$r_$j = 0.0;
  //@end
  //@end
  for (var k = 0u; k < k4; k++) {
    let own_0 = a[a_0 + k];
    let own_1 = a[a_1 + k];
    //@for j in 0..4
    let b_$j = b_at(b_at_$j + k);
    //@end
    //@for r in 0..8
    let x_$r = subgroupBroadcast(own_0, $ru);
    //@for j in 0..4
    sum_$r_$j = fma(x_$r.x, b_$j.x, fma(x_$r.y, b_$j.y, fma(x_$r.z, b_$j.z, fma(x_$r.w, b_$j.w, sum_$r_$j))));
    //@end
    //@end
    //@for r in 8..16
    let x_$r = subgroupBroadcast(own_1, $ru - 8u);
    //@for j in 0..4
    sum_$r_$j = fma(x_$r.x, b_$j.x, fma(x_$r.y, b_$j.y, fma(x_$r.z, b_$j.z, fma(x_$r.w, b_$j.w, sum_$r_$j))));
    //@end
    //@end
  }
  //@for r in 0..16
  //@for j in 0..4
  store(tile.z, row + $ru, column + $ju, sum_$r_$j);
  //@end
  //@end
}

fn store(batch: u32, row: u32, column: u32, sum: f32) {
  if (row >= params.m || column >= params.n) {
    return;
  }
  let at = (batch * params.m + row) * params.n + column;
  var value = sum;
  //@if BIAS
  value += bias[column];
  //@end
  //@if PREACTIVATION
  preactivation[at] = value;
  //@end
  value = activate(ACTIVATION, value);
  //@if RESIDUAL
  value += residual[at];
  //@end
  out[at] = value;
}
