// out = act(A·B + bias) + residual by square tiles in shared memory: for GPUs, with real workgroup memory and wide groups.
//
// Tiling. A workgroup of 16 x 16 lanes makes TILE x TILE outputs (64 or 128), a lane PER_LANE x PER_LANE of them (4 x 4 or 8 x 8),
// 16 apart, so that neighboring lanes read neighboring words of shared memory and write neighboring words of the result. Per STEP
// steps of k the group copies a slice of A and of B to shared memory, each along whichever index is contiguous.
//
// Traffic. A word fetched from memory serves TILE multiply-adds: A is read N/TILE times and B M/TILE times, 8·M·N·K/TILE bytes in
// all, where the naive kernel asks for 8·M·N·K. A word read from shared memory serves PER_LANE.
//
// Any sizes, any transposition; what lies beyond the matrices counts as zeros.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION) + 4 * n * BIAS bytes

//@include "lib_matmul_scalars.wgsl"
//@include "lib_matmul_store.wgsl"

const TILE = 64u;
const PER_LANE = TILE / 16u;
const STEP = 16u;
const TRANSPOSE_A = 0u; // A as [K][M]
const TRANSPOSE_B = 0u; // B as [N][K]

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in elements
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> a_slice: array<f32, STEP * TILE>; // [k][row]
var<workgroup> b_slice: array<f32, STEP * TILE>; // [k][column]

fn a_element(batch: u32, row: u32, k: u32) -> f32 {
  if (row >= params.m || k >= params.k) {
    return 0.0;
  }
  return a[batch * params.a_batch + select(row * params.k + k, k * params.m + row, TRANSPOSE_A == 1u)];
}

fn b_element(batch: u32, k: u32, column: u32) -> f32 {
  if (column >= params.n || k >= params.k) {
    return 0.0;
  }
  return b_at(batch * params.b_batch + select(k * params.n + column, column * params.k + k, TRANSPOSE_B == 1u));
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) tile: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  //@for r in 0..PER_LANE, c in 0..PER_LANE
  var sum_$r_$c = 0.0;
  //@end
  for (var k = 0u; k < params.k; k += STEP) {
    for (var i = index; i < STEP * TILE; i += 256u) {
      // A word's place in a slice, as (k, row or column), in the order in which the matrix is contiguous.
      let k_first = vec2u(i % STEP, i / STEP);
      let k_last = vec2u(i / TILE, i % TILE);
      let to_a = select(k_first, k_last, TRANSPOSE_A == 1u);
      a_slice[to_a.x * TILE + to_a.y] = a_element(tile.z, tile.y * TILE + to_a.y, k + to_a.x);
      let to_b = select(k_last, k_first, TRANSPOSE_B == 1u);
      b_slice[to_b.x * TILE + to_b.y] = b_element(tile.z, k + to_b.x, tile.x * TILE + to_b.y);
    }
    workgroupBarrier();
    for (var s = 0u; s < STEP; s++) {
      //@for c in 0..PER_LANE
      let b_$c = b_slice[s * TILE + 16u * $cu + lane.x];
      //@end
      //@for r in 0..PER_LANE
      let a_$r = a_slice[s * TILE + 16u * $ru + lane.y];
      //@for c in 0..PER_LANE
      sum_$r_$c = fma(a_$r, b_$c, sum_$r_$c);
      //@end
      //@end
    }
    workgroupBarrier();
  }
  // A loop over an array, with a bound that compilers don't see through: unrolled, so many copies of the epilogue take
  // a software adapter's compiler seconds.
  var sums = array<f32, PER_LANE * PER_LANE>(
  //@for r in 0..PER_LANE, c in 0..PER_LANE
    sum_$r_$c,
  //@end
  );
  for (var i = 0u; i < min(params.m, 1u) * PER_LANE * PER_LANE; i++) {
    let row = tile.y * TILE + 16u * (i / PER_LANE) + lane.y;
    let column = tile.x * TILE + 16u * (i % PER_LANE) + lane.x;
    store(tile.z, row, column, sums[i]);
  }
}
