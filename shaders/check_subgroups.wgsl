// How the lanes of a workgroup stand in its subgroups, and what they exchange there: kernels that use subgroups go by the numbers
// that lanes are given, and by nothing else. Of the lane at place l of the workgroup, eight words: its subgroup, the size, its
// number there, l of the lanes whose numbers differ in bit 0 and in bit 1, l of lane 3, and sum and maximum of l. 32 bytes a lane.
//@work x * 64 * 2 operations, x * 64 * 32 bytes
//@budget registers 64, shared 0

enable subgroups;
requires subgroup_id;
diagnostic(off, subgroup_uniformity);

const SIZED = 0u; // the shader asks for subgroups of LANES lanes, as row-wise kernels do
const LANES = 8u;

@group(0) @binding(0) var<storage, read_write> out: array<vec4u>;

@compute @workgroup_size(64)
//@if SIZED
@subgroup_size(LANES)
//@end
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) place: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let at = 2u * (64u * group.x + place);
  out[at] = vec4u(subgroup, size, lane, subgroupShuffleXor(place, 1u));
  out[at + 1u] = vec4u(
    subgroupShuffleXor(place, 2u),
    subgroupBroadcast(place, 3u),
    u32(subgroupAdd(f32(place))),
    u32(subgroupMax(f32(place))),
  );
}
