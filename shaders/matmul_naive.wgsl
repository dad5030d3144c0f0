// out[i, j] = act(sum_k A[i, k] · B[k, j] + bias[j]) + residual[i, j], one lane an element: the plain path.
//
// Any strides, so any transposition; z is the batch. Every lane reads a whole row of A and column of B: 2·K words for K
// multiply-adds, which is why the tiled variants exist. This one is the oracle they are checked against.

const BIAS = 0u;
const RESIDUAL = 0u;
const PREACTIVATION = 0u;
const ACTIVATION = 0u; // see lib_activation.wgsl
const HALF_B = 0u; // B holds halves, two to a word

struct Params {
  m: u32, n: u32, k: u32,
  a_row: u32, a_column: u32, b_row: u32, b_column: u32, // strides in elements
  a_batch: u32, b_batch: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
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

fn b_at(i: u32) -> f32 {
  if (HALF_B == 1u) {
    return unpack2x16float(b[i / 2u])[i & 1u];
  }
  return bitcast<f32>(b[i]);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let column = id.x;
  if (row >= params.m || column >= params.n) {
    return;
  }
  var sum = 0.0;
  var at_a = id.z * params.a_batch + row * params.a_row;
  var at_b = id.z * params.b_batch + column * params.b_column;
  for (var k = 0u; k < params.k; k++) {
    sum = fma(a[at_a], b_at(at_b), sum);
    at_a += params.a_column;
    at_b += params.b_row;
  }
  let at = (id.z * params.m + row) * params.n + column;
  //@if BIAS
  sum += bias[column];
  //@end
  //@if PREACTIVATION
  preactivation[at] = sum;
  //@end
  sum = activate(ACTIVATION, sum);
  //@if RESIDUAL
  sum += residual[at];
  //@end
  out[at] = sum;
}
