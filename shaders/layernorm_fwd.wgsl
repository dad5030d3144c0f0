// Layer norm (Ba et al., arXiv 1607.06450): y = (x - mean) / sqrt(variance + eps) · gamma + beta over each row.
//
// The lanes that share a row (lib_rows.wgsl) read it twice, four elements at once (lib_vectors.wgsl): for the mean and
// the variance about it, and for the output; the second read comes from the cache. They carry BUNDLE rows at once, so that
// gamma, beta and the loops' own cost are paid once for all of them.
// One read gives both moments without cancellation, whatever the outliers: each turn's elements have a mean and squares about
// it of their own, which join those so far as two samples do (Chan, Golub and LeVeque, 1979):
//   M2 = M2_a + M2_b + (mean_b - mean_a)² · n_a · n_b / (n_a + n_b).
// Lanes then join in the same way. Traffic: one read and one write an element from memory, and mean and 1/deviation a row
// if they are kept.

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const BUNDLE = 1u;
const AFFINE = 1u;
const KEEP = 0u;

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
//@if AFFINE
@group(0) @binding(2) var<storage, read> gamma: array<Values>;
@group(0) @binding(3) var<storage, read> beta: array<Values>;
//@end
@group(0) @binding(4) var<storage, read_write> y: array<Values>;
//@if KEEP
@group(0) @binding(5) var<storage, read_write> moments: array<vec2f>; // mean and 1/deviation of each row
//@end

@compute @workgroup_size(LANES * GROUP_ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let first = row_of(group, groups, local) * BUNDLE;
  if (first >= params.rows) {
    return;
  }
  let lane = local % LANES;
  let count = params.width / WIDE;
  let width = f32(params.width);
  //@for r in 0..BUNDLE
  let row_$r = min(first + $ru, params.rows - 1u); // beyond the end the last row again
  let start_$r = row_$r * count;
  var own_$r = 0.0; // mean of what this lane has read
  var squares_$r = 0.0; // and squares about it
  //@end
  var n = 0.0;
  for (var i = lane; i < count; i += LANES) {
    let share = f32(WIDE) / (n + f32(WIDE));
    //@for r in 0..BUNDLE
    let x_$r = x[start_$r + i];
    let mean_of_x_$r = sum_of(x_$r) / f32(WIDE);
    let d_$r = x_$r - mean_of_x_$r;
    let step_$r = mean_of_x_$r - own_$r;
    own_$r = fma(step_$r, share, own_$r);
    squares_$r += fma(step_$r * step_$r, n * share, sum_of(d_$r * d_$r));
    //@end
    n += f32(WIDE);
  }
  //@for r in 0..BUNDLE
  let mean_$r = row_sum(own_$r * n, lane) / width;
  let apart_$r = own_$r - mean_$r;
  let scale_$r = inverseSqrt(row_sum(fma(apart_$r * apart_$r, n, squares_$r), lane) / width + params.eps);
  //@end
  for (var i = lane; i < count; i += LANES) {
    //@for r in 0..BUNDLE
    var value_$r = (x[start_$r + i] - mean_$r) * scale_$r;
    //@end
    //@if AFFINE
    let g = gamma[i];
    let b = beta[i];
    //@for r in 0..BUNDLE
    value_$r = fma(value_$r, g, b);
    //@end
    //@end
    //@for r in 0..BUNDLE
    y[start_$r + i] = value_$r;
    //@end
  }
  //@if KEEP
  if (lane == 0u) {
    //@for r in 0..BUNDLE
    moments[row_$r] = vec2f(mean_$r, scale_$r);
    //@end
  }
  //@end
}
