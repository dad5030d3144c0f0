// Layer norm (Ba et al., arXiv 1607.06450): y = (x - mean) · rstd · gamma + beta over each row, rstd = 1 / sqrt(variance + eps).
//
// The lanes that share a row (lib_rows.wgsl) read it twice, VEC_SIZE elements at once (lib_vectors.wgsl): for the mean and the
// variance about it, and for the output; the second read comes from the cache. They carry ROWS_PER_TURN rows at once, so that
// gamma, beta and the loops' own cost are paid once for all of them.
//
// One read gives mean and variance without cancellation, whatever the outliers: each turn's elements have a mean and squares about
// it (m2) of their own, which join those so far as two samples do (Chan, Golub and LeVeque, 1979):
//   m2 = m2_a + m2_b + (mean_b - mean_a)² · n_a · n_b / (n_a + n_b).
// Lanes then join in the same way. Traffic: one read and one write an element from memory, and mean and rstd a row if kept.
//@work (6 + 2 * AFFINE) * rows * width operations, 8 * (rows * width + width * AFFINE + rows * STATS) bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const AFFINE = 1u;
const STATS = 0u;

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vec>;
//@if AFFINE
@group(0) @binding(2) var<storage, read> gamma: array<Vec>;
@group(0) @binding(3) var<storage, read> beta: array<Vec>;
//@end
@group(0) @binding(4) var<storage, read_write> y: array<Vec>;
//@if STATS
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>; // mean and rstd of each row
//@end

fn each_row(first: u32, lane: u32) {
  let count = params.width / VEC_SIZE;
  let width = f32(params.width);
  var start: array<u32, ROWS_PER_TURN>;
  for (var r = 0u; r < ROWS_PER_TURN; r++) {
    start[r] = min(first + r, params.rows - 1u) * count; // beyond the end the last row again
  }
  // Of the n elements that this lane has read of each row.
  var n = 0.0;
  var mean: array<f32, ROWS_PER_TURN>;
  var m2: array<f32, ROWS_PER_TURN>;
  for (var i = lane; i < count; i += LANES) {
    let share = f32(VEC_SIZE) / (n + f32(VEC_SIZE));
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      let v = x[start[r] + i];
      let mean_of_v = sum_of(v) / f32(VEC_SIZE);
      let d = v - mean_of_v;
      let step = mean_of_v - mean[r];
      mean[r] = fma(step, share, mean[r]);
      m2[r] += fma(step * step, n * share, sum_of(d * d));
    }
    n += f32(VEC_SIZE);
  }
  // Of the row.
  var rstd: array<f32, ROWS_PER_TURN>;
  for (var r = 0u; r < ROWS_PER_TURN; r++) {
    let row_mean = row_sum(mean[r] * n, lane) / width;
    let apart = mean[r] - row_mean;
    mean[r] = row_mean;
    rstd[r] = inverseSqrt(row_sum(fma(apart * apart, n, m2[r]), lane) / width + params.eps);
    //@if STATS
    if (lane == 0u) {
      stats[start[r] / count] = vec2f(mean[r], rstd[r]);
    }
    //@end
  }
  for (var i = lane; i < count; i += LANES) {
    var out: array<Vec, ROWS_PER_TURN>;
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      out[r] = (x[start[r] + i] - mean[r]) * rstd[r];
    }
    //@if AFFINE
    let g = gamma[i];
    let b = beta[i];
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      out[r] = fma(out[r], g, b);
    }
    //@end
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      y[start[r] + i] = out[r];
    }
  }
}
