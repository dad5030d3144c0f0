// Softmax of each row: y = exp(x - max) / sum exp(x - max). LOG writes x - max - log sum instead.
//
// A lane owns a row and reads it three times (largest, sum, output); the later reads come from the cache.

const LOG = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  var largest = x[start];
  for (var i = 1u; i < params.width; i++) {
    largest = max(largest, x[start + i]);
  }
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += exp(x[start + i] - largest);
  }
  if (LOG == 1u) {
    let offset = largest + log(sum);
    for (var i = 0u; i < params.width; i++) {
      y[start + i] = x[start + i] - offset;
    }
  } else {
    let inverse = 1.0 / sum;
    for (var i = 0u; i < params.width; i++) {
      y[start + i] = exp(x[start + i] - largest) * inverse;
    }
  }
}
