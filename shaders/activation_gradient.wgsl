// dx[i] = dy[i] · act'(x[i]): the gradient at an activation's input, from its input x kept by the forward pass.
//
// Two reads and a write an element, 8 elements a lane, 64 apart so that neighbouring lanes read neighbouring words. It is
// not fused into the product that follows in a linear layer, dx·W: each of its column tiles would compute the exponentials anew.

const PER_LANE = 8u;
const ACTIVATION = 0u; // see lib_activation.wgsl

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let i = start + j * 64u;
    if (i < params.size) {
      dx[i] = dy[i] * activate_slope(ACTIVATION, x[i]);
    }
  }
}
