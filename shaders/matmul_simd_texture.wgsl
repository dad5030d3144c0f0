// out = act(A·B + bias) + residual by register tiles from operands that have been copied into texels (src/kernels/matmul/texels.ts).
//
// One workgroup is one subgroup and makes 8·OWN rows x 8·COLS columns; a lane owns COLS columns and all the rows. Per 4 steps of
// k it reads OWN + COLS texels for 32·OWN·COLS multiply-adds, and gets the other rows' values of A from its neighbours by
// subgroupBroadcast. A's texels run along k. B's do too where it lies as [N][K] (LINES); where it lies as [K][N] they
// hold four neighbouring columns of one k, and COLS is a multiple of 4. Steps of k beyond K must be zeros in A.
//
// Why a copy of both operands pays on a software adapter. There, loading a vec4 from a buffer is, for each lane by itself, a
// test of the execution mask and for each word a test of the bounds: some 300 instructions for 8 lanes, and as often as the
// loop is unrolled, so that a dozen of them overflow what the processor holds decoded. A texel is a call of one function for
// all lanes: tested once, fetched as 16 bytes, transposed in registers, some 100 instructions that are always at hand. The
// copy is the driver's own, at memory's speed, into lines an odd number of cache lines apart: lines a multiple of 1 KiB apart
// fall into the same few sets of the first cache and drive one another out. It costs M·K + N·K words against M·N·K
// multiply-adds. A frozen weight is put there once and for all, in bundles of lines, so that a tile reads few streams.
//
// Accumulators beyond the registers are cheap: around those calls all of them lie on the stack anyway, a multiply-add chain of
// four a load and a store, so that larger tiles go on gaining until the accumulators leave the first cache.
//
// Workgroups follow one another down the rows: the columns' panel of B, which the next one needs again, is then what the
// second cache holds, and A is what streams.
//
// Only the first 8 lanes work, so any subgroup size of at least 8 gives the right result.

//@include "lib_matmul_store.wgsl"

enable subgroups;

const OWN = 4u;
const COLS = 4u;
const GROUPS = COLS / 4u;
const LINES = 1u; // B lies as [N][K], not as [K][N]
const HALF_B = 0u;
const KEPT = 0u; // B's lines stand in bundles of 8, a texel of each in turn, not below one another

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // lines from one batch entry to the next
  b_line: u32, // the first line of B
  first: u32, height: u32, // rows of the product: before those of this launch, and of it
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;
//@if HALF_B
@group(0) @binding(2) var b: texture_storage_2d<rgba16float, read>;
//@else
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;
//@end

fn b_at(along: u32, line: u32) -> vec4f {
  //@if KEPT
  return textureLoad(b, vec2u(8u * along + line % 8u, line / 8u));
  //@else
  return textureLoad(b, vec2u(along, line));
  //@end
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = tile.x * 8u * OWN;
  let column = tile.y * 8u * COLS;
  //@for o in 0..OWN
  let line_$o = tile.z * params.a_batch + min(row + 8u * $ou + lane, params.height - 1u);
  //@end
  //@if LINES
  //@for j in 0..COLS
  let line_of_b_$j = params.b_line + tile.z * params.b_batch + min(column + 8u * $ju + lane, params.n - 1u);
  //@end
  //@else
  //@for g in 0..GROUPS
  let column_$g = min(column / 4u + 8u * $gu + lane, params.n / 4u - 1u);
  //@end
  let top = params.b_line + tile.z * params.b_batch;
  //@end
  //@for o in 0..OWN
  //@for r in 0..8
  //@for j in 0..COLS
  var sum_$o_$r_$j = 0.0;
  //@end
  //@end
  //@end
  for (var k = 0u; k < (params.k + 3u) / 4u; k++) {
    //@for o in 0..OWN
    let own_$o = textureLoad(a, vec2u(k, line_$o));
    //@end
    //@if LINES
    //@for j in 0..COLS
    let b_$j = b_at(k, line_of_b_$j);
    //@end
    //@else
    //@for g in 0..GROUPS
    //@for i in 0..4
    let of_k_$g_$i = b_at(column_$g, top + min(4u * k + $iu, params.k - 1u));
    //@end
    //@for c in 0..4
    let four_$g_$c = vec4f(of_k_$g_0[$c], of_k_$g_1[$c], of_k_$g_2[$c], of_k_$g_3[$c]);
    //@end
    //@end
    let by_column = array<vec4f, COLS>(
    //@for g in 0..GROUPS
    //@for c in 0..4
      four_$g_$c,
    //@end
    //@end
    );
    //@for j in 0..COLS
    let b_$j = by_column[$j];
    //@end
    //@end
    //@for o in 0..OWN
    //@for r in 0..8
    {
      let x = subgroupBroadcast(own_$o, $ru);
      //@for j in 0..COLS
      sum_$o_$r_$j = fma(x.x, b_$j.x, fma(x.y, b_$j.y, fma(x.z, b_$j.z, fma(x.w, b_$j.w, sum_$o_$r_$j))));
      //@end
    }
    //@end
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 8u * OWN * COLS>(
  //@for o in 0..OWN
  //@for r in 0..8
  //@for j in 0..COLS
    sum_$o_$r_$j,
  //@end
  //@end
  //@end
  );
  for (var i = 0u; i < 8u * OWN * COLS; i++) {
    let j = i % COLS;
    //@if LINES
    let at = column + 8u * j + lane;
    //@else
    let at = column + 32u * (j / 4u) + 4u * lane + j % 4u;
    //@end
    store(tile.z, params.first + row + i / COLS, at, sums[i]);
  }
}
