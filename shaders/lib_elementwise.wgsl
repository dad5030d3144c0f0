// main() of the kernels that do the same with every element: it calls element(i) for each i below params.size.
//
// A lane takes PER_LANE elements, 64 apart, so that neighboring lanes read and write neighboring words; launching a workgroup
// costs more than its arithmetic on every adapter, hence PER_LANE > 1. Workgroups are counted through x and y, since one
// dimension ends at 65,535.

const PER_LANE = 8u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let i = start + j * 64u;
    if (i < params.size) {
      element(i);
    }
  }
}
