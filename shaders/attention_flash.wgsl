// Fused attention, forward, for GPUs, whose workgroup memory is fast (Dao et al., FlashAttention, 2022, algorithm 1).
//
// A workgroup of 64 lanes takes ROWS queries of one head, each shared by LANES_PER_ROW neighboring lanes with their part of its
// vectors in registers. Tiles of keys and values pass through workgroup memory, loaded once for all queries of the group with
// neighboring lanes at neighboring addresses; then all lanes read the same key, which is a broadcast. The softmax is taken
// online: a running maximum m, a running sum l, and the output so far, rescaled by exp(m - m') whenever 4 new scores raise the
// maximum.
//
// Partial dot products are summed over a row's lanes by shuffles (none with LANES_PER_ROW 1, which needs no subgroups).
// Hidden keys: causal ones by the limit, those of a prefix tree 4 at a time.
//
// Traffic: Q is read and O written once, K and V once for every ROWS queries; no score ever reaches memory.
//@work (16 * D4 + 4) * z * heads * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 4 * z * heads * (8 * D4 * (queries + keys) + queries * LSE) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_mask.wgsl"
//@include "lib_attention_flash.wgsl"
//@include "lib_attention_flash_keys.wgsl"

const LSE = 0u;

struct Params {
  queries: u32, keys: u32, heads: u32,
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e): exponentials are to base 2
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
//@if MASK == TREE
@group(0) @binding(4) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
//@if LSE
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
//@end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, place: Place) {
  let lane = lane_of(place);
  let work = work_of(group, lane);
  let first = group.x * ROWS;
  let query = work.row;
  let last_key = params.keys - 1u;
  let own = min(query, params.queries - 1u);
  let at_q = params.q_offset + (work.batch * params.queries + own) * params.q_stride + work.head + work.part;
  //@for d in 0..VECS_PER_LANE
  let q_$d = q[at_q + $du * LANES_PER_ROW] * params.scale;
  var o_$d = vec4f();
  //@end
  var m = -1e30;
  var l = 0.0;
  var limit = params.keys;
  if (MASK != 0u) {
    limit = min(limit, first + ROWS);
  }
  for (var start = 0u; start < limit; start += TILE_ROWS) {
    load_tiles(work, start, lane);
    for (var c = 0u; c < TILE_ROWS && start + c < limit; c += 4u) {
      let key = start + c;
      //@for j in 0..4
      var visible_$j = key + $ju < params.keys && (MASK == 0u || key + $ju <= query);
      //@end
      //@if MASK == TREE
      //@for j in 0..4
      let end_$j = end[min(key + $ju, last_key)];
      visible_$j = visible_$j && query < end_$j;
      //@end
      if (max(max(end_0, end_1), max(end_2, end_3)) <= first) {
        continue;
      }
      //@end
      //@for j in 0..4
      var s_$j = 0.0;
      //@for d in 0..VECS_PER_LANE
      s_$j += dot(q_$d, k_tile[(c + $ju) * D4 + work.part + $du * LANES_PER_ROW]);
      //@end
      s_$j = select(-1e30, quad_sum(s_$j), visible_$j);
      //@end
      let next = max(m, max(max(s_0, s_1), max(s_2, s_3)));
      let shrink = exp2(m - next);
      m = next;
      //@for j in 0..4
      let p_$j = exp2(s_$j - m);
      //@end
      l = l * shrink + ((p_0 + p_1) + (p_2 + p_3));
      //@for d in 0..VECS_PER_LANE
      o_$d *= shrink;
      //@for j in 0..4
      o_$d = fma(vec4f(p_$j), v_tile[(c + $ju) * D4 + work.part + $du * LANES_PER_ROW], o_$d);
      //@end
      //@end
    }
  }
  if (query < params.queries) {
    let at = ((work.batch * params.queries + query) * params.heads) * D4 + work.head + work.part;
    //@for d in 0..VECS_PER_LANE
    out[at + $du * LANES_PER_ROW] = o_$d / l;
    //@end
    //@if LSE
    if (work.part == 0u) {
      lse[(work.batch * params.heads + group.y) * params.queries + query] = (m + log2(l)) * 0.6931471805599453;
    }
    //@end
  }
}
