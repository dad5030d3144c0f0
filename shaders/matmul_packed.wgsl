// out = act(A·B + bias) + residual by register tiles from operands that matmul_pack.wgsl has put into texels, tile by tile.
//
// The tile of matmul_subgroup_nk.wgsl: one workgroup is one subgroup and makes 8·OWN rows x 8·COLS columns; a lane owns COLS
// columns, 8 apart, and all the rows. Per 4 steps of k it reads OWN + COLS texels for 32·OWN·COLS multiply-adds, and gets
// the other rows' values of A from its neighbours by subgroupBroadcast.
//
// Why a copy of both operands pays on a software adapter. There, loading a vec4 from a buffer is, for each lane by itself,
// a test of the execution mask and for each word a test of the bounds: some 300 instructions for 8 lanes. A texel is
// tested once for all lanes, fetched as 16 bytes, and the 8 are transposed in registers: some 100. And packed tiles are
// streams: rows as they lie, a multiple of 1 KiB apart, fall into the same few sets of the first cache and drive one
// another out. The copies cost M·K + N·K words against M·N·K multiply-adds.
//
// Only the first 8 lanes work, so any subgroup size of at least 8 gives the right result. store() is in
// lib_matmul_store.wgsl.

enable subgroups;

const OWN = 4u;
const COLS = 4u;
const WIDTH = 4096u; // texels in a row of the texture

struct Params {
  m: u32, n: u32, k4: u32,
  a_batch: u32, b_batch: u32, // strides in texels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let last_a = (params.m - 1u) / 8u;
  let last_b = (params.n - 1u) / 8u;
  let end = params.k4 * 8u;
  //@for o in 0..OWN
  let at_a_$o = tile.z * params.a_batch + min(tile.y * OWN + $ou, last_a) * end + lane;
  //@end
  //@for j in 0..COLS
  let at_b_$j = tile.z * params.b_batch + min(tile.x * COLS + $ju, last_b) * end + lane;
  //@end
  //@for o in 0..OWN
  //@for r in 0..8
  //@for j in 0..COLS
  var sum_$o_$r_$j = 0.0;
  //@end
  //@end
  //@end
  for (var k = 0u; k < end; k += 8u) {
    //@for o in 0..OWN
    let own_$o = textureLoad(a, vec2u((at_a_$o + k) % WIDTH, (at_a_$o + k) / WIDTH));
    //@end
    //@for j in 0..COLS
    let b_$j = textureLoad(b, vec2u((at_b_$j + k) % WIDTH, (at_b_$j + k) / WIDTH));
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
    store(tile.z, tile.y * 8u * OWN + i / COLS, tile.x * 8u * COLS + 8u * (i % COLS) + lane, sums[i]);
  }
}
