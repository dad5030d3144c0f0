// Gradients of layer norm by gamma and beta: dgamma[c] = Σ_rows dy·x̂, dbeta[c] = Σ_rows dy.
//
// A lane owns a column of one run of `run` rows and walks down it in order, so neighboring lanes read neighboring words
// and the sum has a fixed order. Each run's sums make a row of the outputs; if there are several, column_sum.wgsl adds them.
//@work 5 * rows * width operations, 8 * (rows * width + rows + y * width) bytes
//@budget registers 24, shared 0

struct Params { rows: u32, width: u32, run: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<vec2f>; // mean and rstd of each row
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
    let mean = stats[row].x;
    let rstd = stats[row].y;
    sum_gamma = fma(dy[at], (x[at] - mean) * rstd, sum_gamma);
    sum_beta += dy[at];
  }
  dgamma[id.y * params.width + column] = sum_gamma;
  dbeta[id.y * params.width + column] = sum_beta;
}
