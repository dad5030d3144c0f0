// How the 64 lanes of a workgroup share its rows (queries, or keys) in the flash kernels: LANES_PER_ROW neighboring lanes have a
// row between them, each every LANES_PER_ROW-th vec4 of its vectors in registers. What a compiler may take for it holds for
// all three kernels: their tiles are of one size.
//@if TILE_ROWS == 32
//@budget registers 144, shared 20, waves 4 on navi31, waves 1 on gfx940
//@else
//@if D4 == 16
//@budget registers 144, shared 10, waves 8 on navi31, waves 2 on gfx940
//@else
//@budget registers 144, shared 10
//@end
//@end

const D4 = 16u; // head size / 4
const LANES_PER_ROW = 1u; // or 4
const ROWS = 64 / LANES_PER_ROW; // of a workgroup
const VECS_PER_LANE = D4 / LANES_PER_ROW; // vec4s of a vector in a lane
const TILE_ROWS = 16u; // rows of a tile in workgroup memory, a multiple of 4

//@if LANES_PER_ROW == 4
enable subgroups; // for the shuffles alone: an adapter without them takes LANES_PER_ROW 1
requires subgroup_id;
//@end

// Where shuffles join lanes, neighbors must be of one subgroup: a lane's number then follows from its place there.
struct Place {
  //@if LANES_PER_ROW == 4
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  //@else
  @builtin(local_invocation_index) lane: u32,
  //@end
}

fn lane_of(place: Place) -> u32 {
  //@if LANES_PER_ROW == 4
  return place.subgroup * place.lanes + place.lane;
  //@else
  return place.lane;
  //@end
}

// What a lane of a workgroup works on. The workgroup's first row is not in it: loops with barriers end by that, and to the
// compiler no member of a struct is uniform where one is not.
struct Work {
  row: u32,
  part: u32, // of the row's vectors: the vec4s part, part + LANES_PER_ROW, …
  head: u32, // where it begins in a token, in vec4
  batch: u32,
}

fn work_of(group: vec3u, lane: u32) -> Work {
  return Work(group.x * ROWS + lane / LANES_PER_ROW, lane % LANES_PER_ROW, group.y * D4, group.z);
}

// The sum over the lanes that share a row.
fn quad_sum(part: f32) -> f32 {
  var sum = part;
  //@if LANES_PER_ROW == 4
  sum += subgroupShuffleXor(sum, 1u);
  sum += subgroupShuffleXor(sum, 2u);
  //@end
  return sum;
}
