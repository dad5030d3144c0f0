// Gradient of layer norm by its input. With x̂ = (x - mean)·s and g = dy·gamma:
//   dx = s · (g - mean(g) - x̂ · mean(g · x̂)).
//
// A lane owns a row and reads x and dy twice: once for the two means, once for the output.

const AFFINE = 1u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
//@if AFFINE
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
//@end
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

fn scaled(start: u32, i: u32) -> f32 {
  var g = dy[start + i];
  //@if AFFINE
  g *= gamma[i];
  //@end
  return g;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  let mean = moments[row].x;
  let s = moments[row].y;
  var sum_g = 0.0;
  var sum_gx = 0.0;
  for (var i = 0u; i < params.width; i++) {
    let g = scaled(start, i);
    sum_g += g;
    sum_gx = fma(g, (x[start + i] - mean) * s, sum_gx);
  }
  let mean_g = sum_g / f32(params.width);
  let mean_gx = sum_gx / f32(params.width);
  for (var i = 0u; i < params.width; i++) {
    dx[start + i] = s * (scaled(start, i) - mean_g - (x[start + i] - mean) * s * mean_gx);
  }
}
