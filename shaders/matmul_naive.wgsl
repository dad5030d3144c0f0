// out[i, j] = act(sum_k A[i, k] · B[k, j] + bias[j]) + residual[i, j], one lane an element: the plain path.
//
// Any strides, so any transposition; z is the batch. Every lane reads a whole row of A and column of B: 2·K words for K
// multiply-adds, which is why the tiled variants exist. This one is the oracle they are checked against.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes
//@budget registers 24, shared 0

//@include "lib_matmul_scalars.wgsl"
//@include "lib_matmul_store.wgsl"

struct Params {
  m: u32, n: u32, k: u32,
  a_row: u32, a_column: u32, b_row: u32, b_column: u32, // strides in elements
  a_batch: u32, b_batch: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

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
  store(id.z, row, column, sum);
}
