// out = act(A·B + bias) + residual by tiles in registers, A as [M][K] and B as [N][K] (a linear layer's weight as it lies): for
// adapters that are a processor, where a subgroup of 8 lanes is a vector register and a load costs as much as dozens of
// multiply-adds, since each lane's is tested and bounds-checked by itself.
//
// Tiling. One workgroup is one subgroup and makes 8·ROWS_PER_LANE rows x 32 columns. A lane has 4 columns (8 apart, so that
// stores lie side by side) and all the rows: 32·ROWS_PER_LANE accumulators. Per 4 steps of k it loads a vec4 of ROWS_PER_LANE
// rows of A and of its 4 columns of B, and gets the other rows of A from its neighbors by subgroupBroadcast:
// ROWS_PER_LANE + 4 loads for 128·ROWS_PER_LANE multiply-adds, no shared memory and no barrier. With 5 rows the unrolled loop
// leaves the instruction cache (1.1 times the time of 4 at 462x512x512 on lavapipe): worth it only where it saves a row of tiles.
//
// Traffic. A is read N/32 times, B is read M/(8·ROWS_PER_LANE) times: M·N·K·(1/8 + 1/(2·ROWS_PER_LANE)) bytes in all, most of
// them from the caches, and the result is written once.
//
// K must be a multiple of 4. Rows and columns beyond the matrix are read from its last ones and not written. Only the first 8
// lanes work, so any subgroup size of at least 8 gives the right result.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes

//@include "lib_matmul_vectors.wgsl"
//@include "lib_matmul_store.wgsl"

enable subgroups;

const ROWS_PER_LANE = 2u;

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = tile.y * 8u * ROWS_PER_LANE;
  let column = tile.x * 32u + lane;
  let k4 = params.k / 4u;
  //@for r in 0..ROWS_PER_LANE
  let at_a_$r = tile.z * params.a_batch + min(row + 8u * $ru + lane, params.m - 1u) * k4;
  //@end
  //@for c in 0..4
  let at_b_$c = tile.z * params.b_batch + min(column + 8u * $cu, params.n - 1u) * k4;
  //@end
  //@for r in 0..ROWS_PER_LANE, l in 0..8, c in 0..4
  var sum_$r_$l_$c = 0.0;
  //@end
  for (var k = 0u; k < k4; k++) {
    //@for r in 0..ROWS_PER_LANE
    let a_$r = a[at_a_$r + k];
    //@end
    //@for c in 0..4
    let b_$c = b_at(at_b_$c + k);
    //@end
    //@for r in 0..ROWS_PER_LANE, l in 0..8
    {
      let a_k = subgroupBroadcast(a_$r, $lu);
      //@for c in 0..4
      sum_$r_$l_$c = fma(a_k.x, b_$c.x, fma(a_k.y, b_$c.y, fma(a_k.z, b_$c.z, fma(a_k.w, b_$c.w, sum_$r_$l_$c))));
      //@end
    }
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 32u * ROWS_PER_LANE>(
  //@for r in 0..ROWS_PER_LANE, l in 0..8, c in 0..4
    sum_$r_$l_$c,
  //@end
  );
  for (var i = 0u; i < 32u * ROWS_PER_LANE; i++) {
    store(tile.z, row + i / 4u, column + 8u * (i % 4u), sums[i]);
  }
}
