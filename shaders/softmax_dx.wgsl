// Gradient of a row's softmax by its input, from the output alone: dx = y ∘ (dy - sum(dy ∘ y)).
// LOG: of log-softmax, dx = dy - exp(y) · sum(dy).
//
// The lanes that share a row (see lib_rows_*.wgsl) read it twice, BUNDLE rows at once.

const BUNDLE = 1u;
const LOG = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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
  //@for r in 0..BUNDLE
  let start_$r = min(first + $ru, params.rows - 1u) * params.width; // beyond the end the last row again
  var sum_$r = 0.0;
  //@end
  for (var i = lane; i < params.width; i += LANES) {
    //@for r in 0..BUNDLE
    //@if LOG
    sum_$r += dy[start_$r + i];
    //@end
    if (LOG == 0u) {
      sum_$r = fma(dy[start_$r + i], y[start_$r + i], sum_$r);
    }
    //@end
  }
  //@for r in 0..BUNDLE
  let total_$r = row_sum(sum_$r, lane);
  //@end
  for (var i = lane; i < params.width; i += LANES) {
    //@for r in 0..BUNDLE
    if (LOG == 1u) {
      dx[start_$r + i] = dy[start_$r + i] - exp(y[start_$r + i]) * total_$r;
    } else {
      dx[start_$r + i] = y[start_$r + i] * (dy[start_$r + i] - total_$r);
    }
    //@end
  }
}
