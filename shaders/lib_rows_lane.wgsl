// How lanes share the rows of a row-wise kernel, 1 of 3: a lane owns a row. Nothing is exchanged, but neighboring lanes
// read words a whole row apart: right where a lane's loads are separate anyway (a software adapter), slow on a GPU.

const LANES = 1u; // that share a row
const GROUP_ROWS = 8u; // of a workgroup, or turns of rows

struct Place { @builtin(local_invocation_index) local: u32 }

fn owner_of(place: Place) -> u32 { return place.local; }
fn lane_of(place: Place) -> u32 { return 0u; }
fn row_sum(value: f32, lane: u32) -> f32 { return value; }
fn row_max(value: f32, lane: u32) -> f32 { return value; }
