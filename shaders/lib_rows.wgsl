// How lanes share the rows of a row-wise kernel: LANES of them have a row between them, which row_of() names, and join what
// each has of it by row_sum() and row_max(). One of three ways, chosen by the launcher (src/kernels/rows/sharing.ts).

const SHARING = 0u; // one of these
const LANE = 0u;
const SUBGROUP = 1u;
const WORKGROUP = 2u;

//@if SHARING == LANE
//@include "lib_rows_lane.wgsl"
//@end
//@if SHARING == SUBGROUP
//@include "lib_rows_subgroup.wgsl"
//@end
//@if SHARING == WORKGROUP
//@include "lib_rows_workgroup.wgsl"
//@end
