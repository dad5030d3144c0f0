// Gradients of layer norm by gamma and beta: dgamma[c] = sum_rows dy·x̂, dbeta[c] = sum_rows dy.
//
// A lane owns a column and walks down the rows in order, so neighbouring lanes read neighbouring words and the sum has
// a fixed order.

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= params.width) {
    return;
  }
  var sum_gamma = 0.0;
  var sum_beta = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    let at = row * params.width + column;
    let moment = moments[row];
    sum_gamma = fma(dy[at], (x[at] - moment.x) * moment.y, sum_gamma);
    sum_beta += dy[at];
  }
  dgamma[column] = sum_gamma;
  dbeta[column] = sum_beta;
}
