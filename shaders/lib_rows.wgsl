// main() of the kernels that compute each row of a matrix by itself: it calls each_row(row, lane) for every row below params.rows,
// or, where a shader takes several at once, for every ROWS_PER_TURN-th.
//
// LANES lanes have a row between them, each with its number `lane` among them; what each has of the row they join by row_sum()
// and row_max(). One of three ways, chosen by the launcher (src/kernels/rows/row-kernel.ts).

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
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = row_of(group, groups, local) * ROWS_PER_TURN;
  if (row < params.rows) {
    each_row(row, local % LANES);
  }
}
