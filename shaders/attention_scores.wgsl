// The plain path of attention, step 1 of 3: out[z, i, j] = factor · x_i · y_j for every query i and key j of batch entry
// and head z. Forward: x = Q, y = K, factor = 1/sqrt(d). Backward: x = dO, y = V, which gives dP.
//
// One lane a pair, so all scores lie in memory: T² words a head, written once and read by the next step. That is what the
// fused variants avoid, and what makes this one easy to check.

struct Params {
  rows: u32, columns: u32, heads: u32, dim: u32,
  x_offset: u32, x_stride: u32, // words to the first row, and from row to row
  y_offset: u32, y_stride: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let i = id.y;
  if (i >= params.rows || j >= params.columns) {
    return;
  }
  let batch = id.z / params.heads;
  let head = id.z % params.heads;
  let at_x = params.x_offset + (batch * params.rows + i) * params.x_stride + head * params.dim;
  let at_y = params.y_offset + (batch * params.columns + j) * params.y_stride + head * params.dim;
  var sum = 0.0;
  for (var d = 0u; d < params.dim; d++) {
    sum = fma(x[at_x + d], y[at_y + d], sum);
  }
  out[(id.z * params.rows + i) * params.columns + j] = sum * params.factor;
}
