// The plain path of attention, step 3 of 3: out_i = sum_j w[i, j] · y_j over all keys j, per batch entry and head z.
// With TRANSPOSED, out_j = sum_i w[i, j] · y_i instead. Forward: w = P, y = V. Backward: dQ = dS·K, dK = dSᵀ·Q, dV = Pᵀ·dO.
//
// One lane an element of a head's vector; neighbouring lanes read neighbouring elements of y and the same w.

const TRANSPOSED = 0u;

struct Params {
  rows: u32, columns: u32, heads: u32, dim: u32, // w is [batch · heads, rows, columns]
  y_offset: u32, y_stride: u32,
  out_offset: u32, out_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let d = id.x;
  let i = id.y;
  if (d >= params.dim) {
    return;
  }
  let batch = id.z / params.heads;
  let head = id.z % params.heads;
  let inner = select(params.columns, params.rows, TRANSPOSED == 1u);
  let outer = select(params.rows, params.columns, TRANSPOSED == 1u);
  var at_w = id.z * params.rows * params.columns + select(i * params.columns, i, TRANSPOSED == 1u);
  let step_w = select(1u, params.columns, TRANSPOSED == 1u);
  var at_y = params.y_offset + batch * inner * params.y_stride + head * params.dim + d;
  var sum = 0.0;
  for (var j = 0u; j < inner; j++) {
    sum = fma(w[at_w], y[at_y], sum);
    at_w += step_w;
    at_y += params.y_stride;
  }
  out[params.out_offset + (batch * outer + i) * params.out_stride + head * params.dim + d] = sum;
}
