// out = act(Aᵀ·B + bias) + residual by tiles in registers, A as [K][M] and B as [K][N]: the gradient of a linear layer by its
// weight, dzᵀ·x, where k counts the rows of the batch.
//
// Tiling. As matmul_simd_nk.wgsl, with 32 x 32 outputs a workgroup: a lane loads the vec4 of 4 rows of the result and the vec4 of
// its 4 columns at each step of k, 8 loads for 512 multiply-adds every 4 steps. Traffic. A is read N/32 times and B M/32 times:
// M·N·K/4 bytes in all.
//
// Any K will do: steps beyond it count as zeros. M and N must be multiples of 4. Rows and columns beyond the matrix are read from
// its last ones and not written.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes

//@include "lib_matmul_vectors.wgsl"
//@include "lib_matmul_store.wgsl"

enable subgroups;

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = tile.y * 32u;
  let column = tile.x * 32u + lane * 4u;
  let m4 = params.m / 4u;
  let n4 = params.n / 4u;
  let at_a = tile.z * params.a_batch + min(row / 4u + lane, m4 - 1u);
  let at_b = tile.z * params.b_batch + min(column / 4u, n4 - 1u);
  //@for l in 0..8, r in 0..4, c in 0..4
  var sum_$l_$r_$c = 0.0;
  //@end
  for (var k = 0u; k < params.k; k += 4u) {
    //@for i in 0..4
    let k_$i = min(k + $iu, params.k - 1u);
    let a_$i = select(vec4f(), a[at_a + k_$i * m4], k + $iu < params.k);
    let b_$i = b_at(at_b + k_$i * n4);
    //@end
    //@for l in 0..8
    {
      //@for i in 0..4
      let rows_$i = subgroupBroadcast(a_$i, $lu); // lane l's 4 rows at step k + i
      //@end
      //@for r in 0..4, c in 0..4
      sum_$l_$r_$c = fma(rows_0[$r], b_0[$c], fma(rows_1[$r], b_1[$c], fma(rows_2[$r], b_2[$c], fma(rows_3[$r], b_3[$c], sum_$l_$r_$c))));
      //@end
    }
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 128u>(
  //@for l in 0..8, r in 0..4, c in 0..4
    sum_$l_$r_$c,
  //@end
  );
  for (var i = 0u; i < 128u; i++) {
    store(tile.z, row + i / 4u, column + i % 4u, sums[i]);
  }
}
