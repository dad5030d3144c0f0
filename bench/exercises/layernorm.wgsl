// y = (x - mean) / sqrt(variance + eps) · gamma + beta of each row: by its definition, a row to an invocation, in three passes.
//@groups rows / 8

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.rows) {
    return;
  }
  let start = id.x * params.width;
  let width = f32(params.width);
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += x[start + i];
  }
  let mean = sum / width;
  var squares = 0.0;
  for (var i = 0u; i < params.width; i++) {
    squares += (x[start + i] - mean) * (x[start + i] - mean);
  }
  let rstd = 1.0 / sqrt(squares / width + params.eps);
  for (var i = 0u; i < params.width; i++) {
    y[start + i] = (x[start + i] - mean) * rstd * gamma[i] + beta[i];
  }
}
