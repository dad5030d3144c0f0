// y = x / max(|x|, eps) for each row. GRADIENT: with n = 1/|x|, dx = n·dy - n³·x·(x·dy), the part of dy across x; a row
// shorter than eps is only scaled: dx = dy/eps.
//
// The lanes that share a row (lib_rows.wgsl) read it twice. |x| is taken relative to nothing: rows whose squares
// overflow float32 (|x| > 1e19) are not normalised.

//@include "lib_rows.wgsl"

const GRADIENT = 0u;

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
//@if GRADIENT
@group(0) @binding(2) var<storage, read> dy: array<f32>;
//@end
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

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
  var own_squares = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    own_squares = fma(x[start + i], x[start + i], own_squares);
  }
  let length = sqrt(row_sum(own_squares, lane));
  let n = 1.0 / max(length, params.eps);
  //@if GRADIENT
  var own_along = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    own_along = fma(x[start + i], dy[start + i], own_along);
  }
  let along = select(row_sum(own_along, lane) * n * n, 0.0, length < params.eps);
  for (var i = lane; i < params.width; i += LANES) {
    out[start + i] = n * (dy[start + i] - x[start + i] * along);
  }
  //@else
  for (var i = lane; i < params.width; i += LANES) {
    out[start + i] = x[start + i] * n;
  }
  //@end
}
