// Layer norm (Ba et al., arXiv 1607.06450): y = (x - mean) / sqrt(variance + eps) · gamma + beta over each row.
//
// The lanes that share a row (see lib_rows_*.wgsl) read it three times: for the mean, for the variance about it (no
// cancellation, whatever the outliers), for the output; the second and third reads come from the cache. They carry BUNDLE
// rows at once, so that gamma, beta and the loops' own cost are paid once for all of them.
// Traffic: one read and one write an element from memory, and mean and 1/deviation a row if they are kept.

const BUNDLE = 1u;
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
  let width = f32(params.width);
  //@for r in 0..BUNDLE
  let row_$r = min(first + $ru, params.rows - 1u); // beyond the end the last row again
  let start_$r = row_$r * params.width;
  var sum_$r = 0.0;
  var squares_$r = 0.0;
  //@end
  for (var i = lane; i < params.width; i += LANES) {
    //@for r in 0..BUNDLE
    sum_$r += x[start_$r + i];
    //@end
  }
  //@for r in 0..BUNDLE
  let mean_$r = row_sum(sum_$r, lane) / width;
  //@end
  for (var i = lane; i < params.width; i += LANES) {
    //@for r in 0..BUNDLE
    let d_$r = x[start_$r + i] - mean_$r;
    squares_$r = fma(d_$r, d_$r, squares_$r);
    //@end
  }
  //@for r in 0..BUNDLE
  let scale_$r = inverseSqrt(row_sum(squares_$r, lane) / width + params.eps);
  //@end
  for (var i = lane; i < params.width; i += LANES) {
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
