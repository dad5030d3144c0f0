// Gradient of a row's softmax by its input, from the output alone: dx = y ∘ (dy - sum(dy ∘ y)).
// LOG: of log-softmax, dx = dy - exp(y) · sum(dy). A lane owns a row.

const LOG = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum = fma(dy[start + i], select(y[start + i], 1.0, LOG == 1u), sum);
  }
  for (var i = 0u; i < params.width; i++) {
    if (LOG == 1u) {
      dx[start + i] = dy[start + i] - exp(y[start + i]) * sum;
    } else {
      dx[start + i] = y[start + i] * (dy[start + i] - sum);
    }
  }
}
