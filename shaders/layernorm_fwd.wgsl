// Layer norm (Ba et al., arXiv 1607.06450): y = (x - mean) / sqrt(variance + eps) · gamma + beta over each row.
//
// A lane owns a row and reads it three times (mean, variance about it, output), so that no lanes need to exchange
// anything; the second and third reads come from the cache. Two passes for the variance: no cancellation.
// Traffic: one read and one write an element from memory, and mean and 1/deviation a row if they are kept.

const AFFINE = 1u;
const KEEP = 0u;

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
//@if AFFINE
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
//@end
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
//@if KEEP
@group(0) @binding(5) var<storage, read_write> moments: array<vec2f>; // mean and 1/deviation of each row
//@end

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  let width = f32(params.width);
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += x[start + i];
  }
  let mean = sum / width;
  var squares = 0.0;
  for (var i = 0u; i < params.width; i++) {
    let d = x[start + i] - mean;
    squares = fma(d, d, squares);
  }
  let scale = inverseSqrt(squares / width + params.eps);
  for (var i = 0u; i < params.width; i++) {
    var value = (x[start + i] - mean) * scale;
    //@if AFFINE
    value = fma(value, gamma[i], beta[i]);
    //@end
    y[start + i] = value;
  }
  //@if KEEP
  moments[row] = vec2f(mean, scale);
  //@end
}
