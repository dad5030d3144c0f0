// out[i] = value. A lane writes PER_LANE elements, 64 apart; traffic: one write an element.

const PER_LANE = 8u;

struct Params {
  size: u32,
  value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

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
      out[i] = params.value;
    }
  }
}
