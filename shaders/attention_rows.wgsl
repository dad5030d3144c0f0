// Fused attention, forward, by register tiles: one workgroup is one subgroup of 8 lanes and takes 8·OWN queries of one head.
// Their scores for every key fit into workgroup memory, so the matrix of scores never reaches main memory. Queries, keys and
// values are read from buffers, or from TEXELS (src/kernels/matrix-texture.ts), for the reasons that matmul_simd_texture.wgsl gives.
//
// A lane owns OWN whole rows, 8 apart, in all three steps, so that nothing but values of K and V passes between lanes, by
// subgroupBroadcast.
//
//   1. S = Q·Kᵀ, in tiles of all rows x 8·TILE keys. Per 4 elements of a head a lane reads vec4s of its own rows of Q and of
//      TILE keys, and gets the other keys from its neighbours: OWN + TILE reads for 32·OWN·TILE multiply-adds.
//   2. Softmax. Maxima and sums need no exchange. Exponentials stay unnormalised; 1/sum waits for the end. Base 2, with
//      log2(e) in the scale.
//   3. O = P·V, in tiles of all rows x 32 elements. Per 4 keys a lane loads its rows' vec4s of P and one vec4 of each
//      key's V.
//
// Tiles of keys that the mask hides from all rows are left out of all three: causal ones by the limit, those of a prefix
// tree by one vote of the subgroup a tile, noted in the bits of `seen`.
//
// Traffic: K and V are read once for every 8·OWN queries. Only the first 8 lanes work, so any subgroup size of at least
// 8 will do. Head size a multiple of 4; at most 4 · KEYS4 keys and 32 tiles of them.

//@include "lib_attention_mask.wgsl"

enable subgroups;
// A vote or maximum of the subgroup is the same in all its lanes; the compiler's analysis takes it for one lane's own.
diagnostic(off, subgroup_uniformity);

const LSE = 0u;
const TEXELS = 1u;
const OWN = 5u; // rows of a lane
const TILE = 5u; // keys of a lane in a tile
const BLOCK = max(2u * OWN * TILE, 8u * OWN);
const KEYS4 = 50u; // room for scores, in vec4 a row

struct Params {
  queries: u32, keys: u32, heads: u32,
  d4: u32, // head size / 4
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
//@if TEXELS
@group(0) @binding(1) var q: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var k: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var v: texture_storage_2d<rgba32float, read>;
//@else
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
//@end
//@if MASK == TREE
@group(0) @binding(4) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
//@if LSE
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
//@end

// Four elements of a line, which is a token of the batch: those of number i among its queries, keys or values.
fn q_at(line: u32, i: u32) -> vec4f {
  //@if TEXELS
  return textureLoad(q, vec2u(params.q_offset + i, line));
  //@else
  return q[line * params.q_stride + params.q_offset + i];
  //@end
}
fn k_at(line: u32, i: u32) -> vec4f {
  //@if TEXELS
  return textureLoad(k, vec2u(params.k_offset + i, line));
  //@else
  return k[line * params.k_stride + params.k_offset + i];
  //@end
}
fn v_at(line: u32, i: u32) -> vec4f {
  //@if TEXELS
  return textureLoad(v, vec2u(params.v_offset + i, line));
  //@else
  return v[line * params.v_stride + params.v_offset + i];
  //@end
}

//@if MASK == TREE
fn ends_from(key: u32) -> vec4u {
  let last = params.keys - 1u;
  return vec4u(end[min(key, last)], end[min(key + 1u, last)], end[min(key + 2u, last)], end[min(key + 3u, last)]);
}
//@end

var<workgroup> scores: array<vec4f, 8u * OWN * KEYS4>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 8u * OWN;
  let head = group.y * params.d4;
  let batch = group.z;
  let last_key = params.keys - 1u;
  // Results leave the registers through an array, so that one loop with one store writes them: a store unrolled for
  // every row would make most of the compiled code.
  var block: array<vec4f, BLOCK>;
  var limit = params.keys;
  var clear = params.keys / 4u * 4u; // keys before this one are seen by every row
  //@if MASK
  limit = min(limit, first + 8u * OWN);
  clear = min(clear, first / 4u * 4u);
  //@end
  //@if MASK == TREE
  clear = 0u;
  //@end
  //@for a in 0..OWN
  let row_$a = first + $au * 8u + lane;
  let line_$a = ($au * 8u + lane) * KEYS4;
  let line_of_q_$a = batch * params.queries + min(row_$a, params.queries - 1u);
  //@end
  let first_key = batch * params.keys;
  var seen = 0xffffffffu;
  for (var start = 0u; start < limit; start += 8u * TILE) {
    //@if MASK == TREE
    var last_end = 0u;
    //@for t in 0..TILE
    last_end = max(last_end, end[min(start + $tu * 8u + lane, last_key)]);
    //@end
    if (!subgroupAny(last_end > first)) {
      seen &= ~(1u << (start / (8u * TILE)));
      continue;
    }
    //@end
    //@for t in 0..TILE
    let line_of_k_$t = first_key + min(start + $tu * 8u + lane, last_key);
    //@end
    //@for a in 0..OWN
    //@for t in 0..TILE
    //@for r in 0..8
    var s_$a_$t_$r = 0.0;
    //@end
    //@end
    //@end
    for (var d = 0u; d < params.d4; d++) {
      //@for a in 0..OWN
      let q_$a = q_at(line_of_q_$a, head + d);
      //@end
      //@for t in 0..TILE
      let own_$t = k_at(line_of_k_$t, head + d);
      //@end
      //@for t in 0..TILE
      //@for r in 0..8
      {
        let x = subgroupBroadcast(own_$t, $ru);
        //@for a in 0..OWN
        s_$a_$t_$r = fma(q_$a.x, x.x, fma(q_$a.y, x.y, fma(q_$a.z, x.z, fma(q_$a.w, x.w, s_$a_$t_$r))));
        //@end
      }
      //@end
      //@end
    }
    //@for a in 0..OWN
    //@for t in 0..TILE
    block[($au * TILE + $tu) * 2u] = vec4f(s_$a_$t_0, s_$a_$t_1, s_$a_$t_2, s_$a_$t_3);
    block[($au * TILE + $tu) * 2u + 1u] = vec4f(s_$a_$t_4, s_$a_$t_5, s_$a_$t_6, s_$a_$t_7);
    //@end
    //@end
    for (var i = 0u; i < 2u * TILE * OWN; i++) {
      let at = start / 4u + i % (2u * TILE);
      if (at < KEYS4) {
        scores[(i / (2u * TILE) * 8u + lane) * KEYS4 + at] = block[i];
      }
    }
  }

  //@for a in 0..OWN
  var most_$a = vec4f(-1e30);
  //@end
  for (var c = 0u; c < clear; c += 4u) {
    //@for a in 0..OWN
    most_$a = max(most_$a, scores[line_$a + c / 4u]);
    //@end
  }
  for (var c = clear; c < limit; c += 4u) {
    //@if MASK == TREE
    if ((seen & (1u << (c / (8u * TILE)))) == 0u) {
      c += 8u * TILE - 4u;
      continue;
    }
    //@end
    let key = vec4u(c, c + 1u, c + 2u, c + 3u);
    //@if MASK == TREE
    let ends = ends_from(c);
    //@end
    //@for a in 0..OWN
    var visible_$a = key < vec4u(params.keys);
    //@if MASK
    visible_$a &= key <= vec4u(row_$a);
    //@end
    //@if MASK == TREE
    visible_$a &= vec4u(row_$a) < ends;
    //@end
    let masked_$a = select(vec4f(-1e30), scores[line_$a + c / 4u], visible_$a);
    scores[line_$a + c / 4u] = masked_$a;
    most_$a = max(most_$a, masked_$a);
    //@end
  }
  //@for a in 0..OWN
  let max_$a = max(max(most_$a.x, most_$a.y), max(most_$a.z, most_$a.w)) * params.scale;
  var sums_$a = vec4f();
  //@end
  for (var c = 0u; c < limit; c += 4u) {
    //@if MASK == TREE
    if ((seen & (1u << (c / (8u * TILE)))) == 0u) {
      c += 8u * TILE - 4u;
      continue;
    }
    //@end
    //@for a in 0..OWN
    let p_$a = exp2(scores[line_$a + c / 4u] * params.scale - max_$a);
    scores[line_$a + c / 4u] = p_$a;
    sums_$a += p_$a;
    //@end
  }
  //@for a in 0..OWN
  let sum_$a = sums_$a.x + sums_$a.y + sums_$a.z + sums_$a.w;
  let inverse_$a = 1.0 / sum_$a;
  //@if LSE
  if (row_$a < params.queries) {
    lse[(batch * params.heads + group.y) * params.queries + row_$a] = (max_$a + log2(sum_$a)) * 0.6931471805599453;
  }
  //@end
  //@end

  for (var tile = 0u; tile < params.d4; tile += 8u) {
    let column = head + min(tile + lane, params.d4 - 1u);
    //@for a in 0..OWN
    //@for r in 0..8
    var o_$a_$r_x = 0.0;
    var o_$a_$r_y = 0.0;
    var o_$a_$r_z = 0.0;
    var o_$a_$r_w = 0.0;
    //@end
    //@end
    for (var c = 0u; c < limit; c += 4u) {
      //@if MASK == TREE
      if ((seen & (1u << (c / (8u * TILE)))) == 0u) {
        c += 8u * TILE - 4u;
        continue;
      }
      //@end
      //@for a in 0..OWN
      let p_$a = scores[line_$a + c / 4u];
      //@end
      //@for j in 0..4
      let v_$j = v_at(first_key + min(c + $ju, last_key), column);
      //@end
      //@for r in 0..8
      {
        //@for j in 0..4
        let x_$j = subgroupBroadcast(v_$j, $ru);
        //@end
        //@for a in 0..OWN
        o_$a_$r_x = fma(p_$a.x, x_0.x, fma(p_$a.y, x_1.x, fma(p_$a.z, x_2.x, fma(p_$a.w, x_3.x, o_$a_$r_x))));
        o_$a_$r_y = fma(p_$a.x, x_0.y, fma(p_$a.y, x_1.y, fma(p_$a.z, x_2.y, fma(p_$a.w, x_3.y, o_$a_$r_y))));
        o_$a_$r_z = fma(p_$a.x, x_0.z, fma(p_$a.y, x_1.z, fma(p_$a.z, x_2.z, fma(p_$a.w, x_3.z, o_$a_$r_z))));
        o_$a_$r_w = fma(p_$a.x, x_0.w, fma(p_$a.y, x_1.w, fma(p_$a.z, x_2.w, fma(p_$a.w, x_3.w, o_$a_$r_w))));
        //@end
      }
      //@end
    }
    //@for a in 0..OWN
    //@for r in 0..8
    block[$au * 8u + $ru] = vec4f(o_$a_$r_x, o_$a_$r_y, o_$a_$r_z, o_$a_$r_w) * inverse_$a;
    //@end
    //@end
    for (var i = 0u; i < 8u * OWN; i++) {
      let row = first + i / 8u * 8u + lane;
      let column = tile + i % 8u;
      if (row < params.queries && column < params.d4) {
        out[(batch * params.queries + row) * params.heads * params.d4 + head + column] = block[i];
      }
    }
  }
}
