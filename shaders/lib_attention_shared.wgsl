// What the kernels of attention by tiles in workgroup memory have in common: how 64 lanes share the vectors of a head. SPLIT
// neighboring lanes have a vector between them, each every SPLIT-th vec4 of it in registers.

const D4 = 16u; // head size / 4
const SPLIT = 1u; // lanes a vector: 1 or 4
const MINE = D4 / SPLIT; // vec4 of a lane
const TILE = 16u; // rows of a tile in workgroup memory, a multiple of 4

//@if SPLIT == 4
enable subgroups; // for the shuffles alone: an adapter without them takes SPLIT 1
//@end

// The sum over the lanes that share a vector.
fn whole(part: f32) -> f32 {
  var sum = part;
  //@if SPLIT == 4
  sum += subgroupShuffleXor(sum, 1u);
  sum += subgroupShuffleXor(sum, 2u);
  //@end
  return sum;
}
