// out = act(A·B + bias) + residual by tiles in registers, A as [M][K] and B as [K][N]: the gradient of a linear layer by its
// input, dz·W.
//
// Tiling and traffic are those of matmul_simd_nk.wgsl, but a lane's 4 columns of B lie side by side, so that it loads them as
// one vec4 a step of k: again ROWS_PER_LANE + 4 loads for 128·ROWS_PER_LANE multiply-adds.
//
// K and N must be multiples of 4. Rows and columns beyond the matrix are read from its last ones and not written.
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
  let column = tile.x * 32u + lane * 4u;
  let k4 = params.k / 4u;
  let n4 = params.n / 4u;
  //@for r in 0..ROWS_PER_LANE
  let at_a_$r = tile.z * params.a_batch + min(row + 8u * $ru + lane, params.m - 1u) * k4;
  //@end
  var at_b = tile.z * params.b_batch + min(column / 4u, n4 - 1u);
  //@for r in 0..ROWS_PER_LANE, l in 0..8, c in 0..4
  var sum_$r_$l_$c = 0.0;
  //@end
  for (var k = 0u; k < k4; k++) {
    //@for r in 0..ROWS_PER_LANE
    let a_$r = a[at_a_$r + k];
    //@end
    //@for i in 0..4
    let b_$i = b_at(at_b + $iu * n4); // step 4k + i
    //@end
    at_b += 4u * n4;
    //@for r in 0..ROWS_PER_LANE, l in 0..8
    {
      let a_k = subgroupBroadcast(a_$r, $lu);
      //@for c in 0..4
      sum_$r_$l_$c = fma(a_k.x, b_0[$c], fma(a_k.y, b_1[$c], fma(a_k.z, b_2[$c], fma(a_k.w, b_3[$c], sum_$r_$l_$c))));
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
    store(tile.z, row + i / 4u, column + i % 4u, sums[i]);
  }
}
