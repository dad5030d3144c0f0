// Gradients of layer norm by gamma and beta: dgamma[c] = sum_rows dy·x̂, dbeta[c] = sum_rows dy.
//
// A lane owns a column of one run of `run` rows and walks down it in order, so neighbouring lanes read neighbouring words
// and the sum has a fixed order. Each run's sums make a row of the outputs; if there are several, sum_rows adds them.

struct Params {
  rows: u32,
  width: u32,
  run: u32,
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
  let end = min((id.y + 1u) * params.run, params.rows);
  var sum_gamma = 0.0;
  var sum_beta = 0.0;
  for (var row = id.y * params.run; row < end; row++) {
    let at = row * params.width + column;
    let moment = moments[row];
    sum_gamma = fma(dy[at], (x[at] - moment.x) * moment.y, sum_gamma);
    sum_beta += dy[at];
  }
  dgamma[id.y * params.width + column] = sum_gamma;
  dbeta[id.y * params.width + column] = sum_beta;
}
