// out = act(A·B + bias) + residual by tiles in registers, from operands that have been copied into textures
// (src/kernels/matrix-texture.ts): for adapters that are a processor.
//
// Tiling. As matmul_simd_nk.wgsl: one workgroup is one subgroup and makes 8·ROWS_PER_LANE rows x 8·COLS_PER_LANE columns; a lane
// has COLS_PER_LANE columns, a multiple of 4, and all the rows. Per 4 steps of k it reads ROWS_PER_LANE + COLS_PER_LANE texels for
// 32·ROWS_PER_LANE·COLS_PER_LANE multiply-adds. A's texels run along k. B's do too where it lies as [N][K] (TRANSPOSE_B); where it
// lies as [K][N] they hold four neighboring columns of one k. Steps of k beyond K must be zeros in A.
//
// Traffic. A is read N/(8·COLS_PER_LANE) times and B M/(8·ROWS_PER_LANE) times: M·N·K·(1/COLS_PER_LANE + 1/ROWS_PER_LANE)/2 bytes.
// The copies move 8·(M·K + N·K) bytes more; that of a frozen weight is made once.
//
// Why copying both operands pays on a software adapter. There, loading a vec4 from a buffer is, for each lane by itself, a test of
// the execution mask and for each word a test of the bounds: some 300 instructions for 8 lanes, and as often as the loop is
// unrolled, so that a dozen of them overflow what the processor holds decoded. A texel is a call of one function for all lanes:
// tested once, fetched as 16 bytes, transposed in registers, some 100 instructions that are always at hand. The copy is the
// driver's own, at memory's speed, into rows an odd number of cache lines apart: rows a multiple of 1 KiB apart fall into the same
// few sets of the first cache and drive one another out. A frozen weight is INTERLEAVED, 8 rows at a time, so that a tile reads few
// streams.
//
// Accumulators beyond the registers are cheap: around those calls all of them lie on the stack anyway, a multiply-add chain of
// four a load and a store, so that larger tiles go on gaining until the accumulators leave the first cache. Workgroups follow one
// another down the rows: the columns' panel of B, which the next one needs again, is then what the second cache holds, and A
// is what streams.
//
// Only the first 8 lanes work, so any subgroup size of at least 8 gives the right result.
//@work 2 * height * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * height * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * height * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes

//@include "lib_matmul_store.wgsl"
//@include "lib_matmul_texture.wgsl"

enable subgroups;

const ROWS_PER_LANE = 4u;
const COLS_PER_LANE = 4u;
const QUADS = COLS_PER_LANE / 4u; // a lane's columns by fours
const TRANSPOSE_B = 1u; // B lies as [N][K], not as [K][N]
const HALF_B = 0u;
const INTERLEAVED = 0u; // B's rows take turns by 8, a texel of each, and do not stand below one another

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // rows from one batch entry to the next
  b_row: u32, // the first row of B
  first: u32, height: u32, // rows of the product: before those of this launch, and of it
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = tile.x * 8u * ROWS_PER_LANE;
  let column = tile.y * 8u * COLS_PER_LANE;
  //@for r in 0..ROWS_PER_LANE
  let row_of_a_$r = tile.z * params.a_batch + min(row + 8u * $ru + lane, params.height - 1u);
  //@end
  //@if TRANSPOSE_B
  //@for q in 0..QUADS, i in 0..4
  let row_of_b_$q_$i = params.b_row + tile.z * params.b_batch + min(column + 8u * (4u * $qu + $iu) + lane, params.n - 1u);
  //@end
  //@else
  //@for q in 0..QUADS
  let column_$q = min(column / 4u + 8u * $qu + lane, params.n / 4u - 1u);
  //@end
  let top = params.b_row + tile.z * params.b_batch;
  //@end
  //@for r in 0..ROWS_PER_LANE, l in 0..8, q in 0..QUADS, i in 0..4
  var sum_$r_$l_$q_$i = 0.0;
  //@end
  for (var k = 0u; k < (params.k + 3u) / 4u; k++) {
    //@for r in 0..ROWS_PER_LANE
    let a_$r = textureLoad(a, vec2u(k, row_of_a_$r));
    //@end
    //@if TRANSPOSE_B
    //@for q in 0..QUADS, i in 0..4
    let b_$q_$i = b_at(k, row_of_b_$q_$i);
    //@end
    //@else
    //@for q in 0..QUADS
    //@for i in 0..4
    let step_$q_$i = b_at(column_$q, top + min(4u * k + $iu, params.k - 1u));
    //@end
    //@for i in 0..4
    let b_$q_$i = vec4f(step_$q_0[$i], step_$q_1[$i], step_$q_2[$i], step_$q_3[$i]);
    //@end
    //@end
    //@end
    //@for r in 0..ROWS_PER_LANE, l in 0..8
    {
      let a_k = subgroupBroadcast(a_$r, $lu);
      //@for q in 0..QUADS, i in 0..4
      sum_$r_$l_$q_$i = fma(a_k.x, b_$q_$i.x, fma(a_k.y, b_$q_$i.y, fma(a_k.z, b_$q_$i.z, fma(a_k.w, b_$q_$i.w, sum_$r_$l_$q_$i))));
      //@end
    }
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 8u * ROWS_PER_LANE * COLS_PER_LANE>(
  //@for r in 0..ROWS_PER_LANE, l in 0..8, q in 0..QUADS, i in 0..4
    sum_$r_$l_$q_$i,
  //@end
  );
  for (var i = 0u; i < 8u * ROWS_PER_LANE * COLS_PER_LANE; i++) {
    let c = i % COLS_PER_LANE;
    //@if TRANSPOSE_B
    let at = column + 8u * c + lane;
    //@else
    let at = column + 32u * (c / 4u) + 4u * lane + c % 4u;
    //@end
    store(tile.z, params.first + row + i / COLS_PER_LANE, at, sums[i]);
  }
}
