// main() of the kernels that compute each row of a matrix by itself: it calls each_row(row, lane) for every row below params.rows,
// or, where a shader takes several at once, for every ROWS_PER_TURN-th.
//
// LANES lanes have a row between them, each with its number `lane` among them; what each has of the row they join by row_sum()
// and row_max(). One of three ways, chosen by the launcher (src/kernels/rows/row-kernel.ts), each of which also says which of the
// workgroup's owners an invocation is, or belongs to, and which of its lanes.

const OWNER = 0u; // of a row, one of these
const LANE = 0u;
const SUBGROUP = 1u;
const WORKGROUP = 2u;

const ROWS_PER_TURN = 1u;

//@if OWNER == LANE
//@include "lib_rows_lane.wgsl"
//@end
//@if OWNER == SUBGROUP
//@include "lib_rows_subgroup.wgsl"
//@end
//@if OWNER == WORKGROUP
//@include "lib_rows_workgroup.wgsl"
//@end

@compute @workgroup_size(LANES * GROUP_ROWS)
//@if OWNER == SUBGROUP
@subgroup_size(LANES)
//@end
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, place: Place) {
  let row = ((group.y * groups.x + group.x) * GROUP_ROWS + owner_of(place)) * ROWS_PER_TURN;
  if (row < params.rows) {
    each_row(row, lane_of(place));
  }
}
