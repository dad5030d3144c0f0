// How lanes share the rows of a row-wise kernel, 2 of 3: a subgroup owns a row. Loads are side by side and a reduction is
// one subgroup operation, without shared memory or a barrier. It takes an adapter whose subgroups have LANES lanes, always or
// because the shader asks for it. Which lanes are a subgroup, and in which order, WGSL leaves open: they ask. Control flow is
// uniform in a subgroup since a row is, which WGSL's analysis cannot know: hence the directive.
//
// ACO takes as many registers as leave room for 16 subgroups of 32 lanes, since a reduction wants some of its own.
//@budget registers 96, shared 0, waves 16 on navi31

enable subgroups;
requires subgroup_id;
diagnostic(off, subgroup_uniformity);

const LANES = 8u; // that share a row
const GROUP_ROWS = 4u; // of a workgroup, or turns of rows

struct Place { @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32 }

fn owner_of(place: Place) -> u32 { return place.subgroup; }
fn lane_of(place: Place) -> u32 { return place.lane; }
fn row_sum(value: f32, lane: u32) -> f32 { return subgroupAdd(value); }
fn row_max(value: f32, lane: u32) -> f32 { return subgroupMax(value); }
