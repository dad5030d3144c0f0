// out = act(A·B + bias) + residual by square tiles in shared memory: for adapters with real workgroup memory and wide groups.
//
// A workgroup of 16 x 16 lanes makes TILE x TILE outputs (64 or 128), a lane PER x PER of them (4 x 4 or 8 x 8), 16 apart,
// so that neighbouring lanes read neighbouring words of shared memory and write neighbouring words of the result. Per 16
// steps of k the group copies a slice of A and of B to shared memory, each word once: a word fetched serves TILE
// multiply-adds, and a word read from shared memory PER. Slices are copied along whichever index is contiguous.
//
// Any sizes, any transposition; what lies beyond the matrices counts as zeros.

//@include "lib_matmul_scalars.wgsl"
//@include "lib_matmul_store.wgsl"

const TILE = 64u;
const PER = TILE / 16u;
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
  //@for r in 0..PER
  //@for j in 0..PER
  var sum_$r_$j = 0.0;
  //@end
  //@end
  for (var k = 0u; k < params.k; k += STEP) {
    for (var i = index; i < STEP * TILE; i += 256u) {
      let across = vec2u(i % STEP, i / STEP); // k fastest
      let along = vec2u(i / TILE, i % TILE); // row or column fastest
      let p = select(across, along, TRANSPOSE_A == 1u);
      a_slice[p.x * TILE + p.y] = a_element(tile.z, tile.y * TILE + p.y, k + p.x);
      let q = select(along, across, TRANSPOSE_B == 1u);
      b_slice[q.x * TILE + q.y] = b_element(tile.z, k + q.x, tile.x * TILE + q.y);
    }
    workgroupBarrier();
    for (var s = 0u; s < STEP; s++) {
      //@for j in 0..PER
      let b_$j = b_slice[s * TILE + 16u * $ju + lane.x];
      //@end
      //@for r in 0..PER
      let a_$r = a_slice[s * TILE + 16u * $ru + lane.y];
      //@for j in 0..PER
      sum_$r_$j = fma(a_$r, b_$j, sum_$r_$j);
      //@end
      //@end
    }
    workgroupBarrier();
  }
  // A loop over an array, with a bound that compilers don't see through: unrolled, so many copies of the epilogue take
  // a software adapter's compiler seconds.
  var sums = array<f32, PER * PER>(
  //@for r in 0..PER
  //@for j in 0..PER
    sum_$r_$j,
  //@end
  //@end
  );
  for (var i = 0u; i < min(params.m, 1u) * PER * PER; i++) {
    let row = tile.y * TILE + 16u * (i / PER) + lane.y;
    let column = tile.x * TILE + 16u * (i % PER) + lane.x;
    store(tile.z, row, column, sums[i]);
  }
}
