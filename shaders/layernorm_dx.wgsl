// Gradient of layer norm by its input. With x̂ = (x - mean)·s and g = dy·gamma:
//   dx = s · (g - mean(g) - x̂ · mean(g · x̂)), plus the gradient that reached x by another way (RESIDUAL).
//
// The lanes that share a row (lib_rows.wgsl) read x, dy and gamma twice, four elements at once (lib_vectors.wgsl):
// once for the two means and once for the output, for BUNDLE rows together. A residual branch's sum costs a read here instead
// of a launch, two reads and a write.

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const BUNDLE = 1u;
const AFFINE = 1u;
const RESIDUAL = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read> dy: array<Values>;
//@if AFFINE
@group(0) @binding(4) var<storage, read> gamma: array<Values>;
//@end
//@if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<Values>;
//@end
@group(0) @binding(6) var<storage, read_write> dx: array<Values>;

fn gamma_at(i: u32) -> Values {
  var g = Values(1.0);
  //@if AFFINE
  g = gamma[i];
  //@end
  return g;
}

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
  let mean_$r = moments[row_$r].x;
  let s_$r = moments[row_$r].y;
  var sum_g_$r = Values();
  var sum_gx_$r = Values();
  //@end
  for (var i = lane; i < count; i += LANES) {
    let weight = gamma_at(i);
    //@for r in 0..BUNDLE
    let g_$r = dy[start_$r + i] * weight;
    sum_g_$r += g_$r;
    sum_gx_$r = fma(g_$r, x[start_$r + i] - mean_$r, sum_gx_$r);
    //@end
  }
  //@for r in 0..BUNDLE
  let mean_g_$r = row_sum(sum_of(sum_g_$r), lane) / width;
  let along_$r = row_sum(sum_of(sum_gx_$r), lane) / width * s_$r * s_$r;
  //@end
  for (var i = lane; i < count; i += LANES) {
    let weight = gamma_at(i);
    //@for r in 0..BUNDLE
    var value_$r = s_$r * (dy[start_$r + i] * weight - mean_g_$r - (x[start_$r + i] - mean_$r) * along_$r);
    //@if RESIDUAL
    value_$r += residual[start_$r + i];
    //@end
    dx[start_$r + i] = value_$r;
    //@end
  }
}
