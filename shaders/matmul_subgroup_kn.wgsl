// out = act(A·B + bias) + residual by register tiles, A as [M][K] and B as [K][N].
//
// As matmul_subgroup_nk.wgsl, but a lane's 4 columns of B lie side by side, so it loads them as one vec4 a step of k. This
// is the gradient of a linear layer by its input, dz·W.
//
// K and N must be multiples of 4. Rows and columns beyond the matrix are read from its last ones and not written.

//@include "lib_matmul_vectors.wgsl"
//@include "lib_matmul_store.wgsl"

enable subgroups;

const OWN = 2u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = tile.y * 8u * OWN;
  let column = tile.x * 32u + lane * 4u;
  let k4 = params.k / 4u;
  let n4 = params.n / 4u;
  //@for o in 0..OWN
  let at_a_$o = tile.z * params.a_batch + min(row + 8u * $ou + lane, params.m - 1u) * k4;
  //@end
  var at_b = tile.z * params.b_batch + min(column / 4u, n4 - 1u);
  //@for o in 0..OWN
  //@for r in 0..8
  //@for j in 0..4
  var sum_$o_$r_$j = 0.0;
  //@end
  //@end
  //@end
  for (var k = 0u; k < k4; k++) {
    //@for o in 0..OWN
    let own_$o = a[at_a_$o + k];
    //@end
    //@for i in 0..4
    let b_$i = b_at(at_b + $iu * n4);
    //@end
    at_b += 4u * n4;
    //@for o in 0..OWN
    //@for r in 0..8
    {
      let x = subgroupBroadcast(own_$o, $ru);
      //@for j in 0..4
      sum_$o_$r_$j = fma(x.x, b_0[$j], fma(x.y, b_1[$j], fma(x.z, b_2[$j], fma(x.w, b_3[$j], sum_$o_$r_$j))));
      //@end
    }
    //@end
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 32u * OWN>(
  //@for o in 0..OWN
  //@for r in 0..8
  //@for j in 0..4
    sum_$o_$r_$j,
  //@end
  //@end
  //@end
  );
  for (var i = 0u; i < 32u * OWN; i++) {
    store(tile.z, row + i / 4u, column + i % 4u, sums[i]);
  }
}
