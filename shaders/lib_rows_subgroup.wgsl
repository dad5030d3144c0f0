// How lanes share the rows of a row-wise kernel, 2 of 3: a subgroup owns a row. Loads are side by side and a reduction is
// one subgroup operation, without shared memory or a barrier. It takes an adapter whose subgroups always have LANES lanes;
// a workgroup's subgroups are then its runs of LANES consecutive lanes. Whether control flow is uniform in a subgroup
// depends on that, which WGSL's analysis cannot know: hence the directive.

enable subgroups;
diagnostic(off, subgroup_uniformity);

const LANES = 8u; // that share a row
const GROUP_ROWS = 4u; // of a workgroup, or turns of rows

fn row_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * GROUP_ROWS + local / LANES;
}

fn row_sum(value: f32, lane: u32) -> f32 {
  return subgroupAdd(value);
}

fn row_max(value: f32, lane: u32) -> f32 {
  return subgroupMax(value);
}
