// out[row] = factor · the sum over columns of x[row, c], of its square (OPERATION 1), or the largest x[row, c] (2).
// The last row may be shorter: `size` is the number of elements of x in all, so that any buffer may be cut into rows and
// reduced to one number in a few passes.
//
// The lanes that share a row (lib_rows.wgsl) take every LANES-th element, in four interleaved sums, which also keeps
// the rounding error of long rows small. Traffic: one read an element.

//@include "lib_rows.wgsl"

const OPERATION = 0u;

struct Params {
  size: u32,
  width: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn join(so_far: f32, value: f32) -> f32 {
  switch OPERATION {
    case 0u: { return so_far + value; }
    case 1u: { return fma(value, value, so_far); }
    default: { return max(so_far, value); }
  }
}

@compute @workgroup_size(LANES * GROUP_ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = row_of(group, groups, local);
  if (row >= (params.size - 1u) / params.width + 1u) {
    return;
  }
  let lane = local % LANES;
  let start = row * params.width;
  let end = min(start + params.width, params.size);
  let empty = select(0.0, x[start], OPERATION == 2u);
  var s_0 = empty;
  var s_1 = empty;
  var s_2 = empty;
  var s_3 = empty;
  var i = start + lane;
  for (; i + 3u * LANES < end; i += 4u * LANES) {
    //@for j in 0..4
    s_$j = join(s_$j, x[i + $ju * LANES]);
    //@end
  }
  for (; i < end; i += LANES) {
    s_0 = join(s_0, x[i]);
  }
  var result = 0.0;
  if (OPERATION == 2u) {
    result = row_max(max(max(s_0, s_1), max(s_2, s_3)), lane);
  } else {
    result = row_sum((s_0 + s_1) + (s_2 + s_3), lane) * params.factor;
  }
  if (lane == 0u) {
    out[row] = result;
  }
}
