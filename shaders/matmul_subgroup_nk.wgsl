// out = act(A·B + bias) + residual by register tiles, A as [M][K] and B as [N][K] (a linear layer's weight as it lies).
//
// One workgroup is one subgroup and makes a tile of 8·OWN rows x 32 columns. A lane owns 4 columns (8 apart, so that
// stores are side by side) and all the rows: 32·OWN accumulators. Per 4 steps of k it loads a vec4 of each of its own OWN
// rows of A and of its own 4 columns of B, and gets the other rows' values of A from its neighbours by subgroupBroadcast:
// OWN + 4 loads for 128·OWN multiply-adds, no shared memory and no barrier. Where a load is dear (a software adapter tests
// and bounds-checks each lane's own) that ratio is everything; beyond OWN = 4 the unrolled loop leaves the instruction
// cache. Only the first 8 lanes work, so any subgroup size of at least 8 gives the right result.
//
// K must be a multiple of 4. Rows and columns beyond the matrix are read from its last ones and not written.

//@include "lib_matmul_vectors.wgsl"
//@include "lib_matmul_store.wgsl"

enable subgroups;

const OWN = 2u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = tile.y * 8u * OWN;
  let column = tile.x * 32u + lane;
  let k4 = params.k / 4u;
  //@for o in 0..OWN
  let at_a_$o = tile.z * params.a_batch + min(row + 8u * $ou + lane, params.m - 1u) * k4;
  //@end
  //@for j in 0..4
  let at_b_$j = tile.z * params.b_batch + min(column + 8u * $ju, params.n - 1u) * k4;
  //@end
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
    //@for j in 0..4
    let b_$j = b_at(at_b_$j + k);
    //@end
    //@for o in 0..OWN
    //@for r in 0..8
    {
      let x = subgroupBroadcast(own_$o, $ru);
      //@for j in 0..4
      sum_$o_$r_$j = fma(x.x, b_$j.x, fma(x.y, b_$j.y, fma(x.z, b_$j.z, fma(x.w, b_$j.w, sum_$o_$r_$j))));
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
    store(tile.z, row + i / 4u, column + 8u * (i % 4u), sums[i]);
  }
}
