// Cross-entropy with integer classes: of each row log sum_c exp(x[r, c]) - x[r, t_r] (their mean is taken afterwards).
// GRADIENT: dx[r, c] = dloss/rows · (softmax(x_r)[c] - [c = t_r]) instead.
//
// The lanes that share a row (lib_rows.wgsl) read it twice, or three times for the gradient; the largest logit is
// taken off first, so that nothing overflows.

//@include "lib_rows.wgsl"

const GRADIENT = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<u32>;
//@if GRADIENT
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
//@end
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(LANES * GROUP_ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = row_of(group, groups, local);
  if (row >= params.rows) {
    return;
  }
  let lane = local % LANES;
  let start = row * params.width;
  var own_largest = x[start];
  for (var c = lane; c < params.width; c += LANES) {
    own_largest = max(own_largest, x[start + c]);
  }
  let largest = row_max(own_largest, lane);
  var own_sum = 0.0;
  for (var c = lane; c < params.width; c += LANES) {
    own_sum += exp(x[start + c] - largest);
  }
  let sum = row_sum(own_sum, lane);
  //@if GRADIENT
  let factor = dloss[0] / f32(params.rows);
  for (var c = lane; c < params.width; c += LANES) {
    let p = exp(x[start + c] - largest) / sum;
    out[start + c] = factor * (p - select(0.0, 1.0, c == t[row]));
  }
  //@else
  if (lane == 0u) {
    out[row] = log(sum) + largest - x[start + t[row]];
  }
  //@end
}
