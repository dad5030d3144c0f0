// dK and dV of fused attention: dV = Pᵀ·dO and dK = scale · dSᵀ·Q with P recomputed from the saved log-sum-exp (Dao et
// al., FlashAttention, 2022, algorithm 4). The mirror image of attention_flash_backward_q.wgsl: lanes own keys, tiles of queries
// and of dO pass through workgroup memory. No atomics: a lane alone adds to its dK and dV.
//
// The queries that see a key are one range: from itself to the end of its subtree (or of the sequence), and the group's
// range is from its first key to the furthest such end.
//
// Traffic: K, V, dK and dV once, Q and dO once for every ROWS keys.
//@work (32 * D4 + 5) * z * heads * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 8 * z * heads * (4 * D4 * (queries + 2 * keys) + queries) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_backward.wgsl"
//@include "lib_attention_flash.wgsl"

struct Params {
  queries: u32, keys: u32, heads: u32,
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  dk_offset: u32, dk_stride: u32,
  dv_offset: u32, dv_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(8) var<storage, read_write> gradient: array<vec4f>;

var<workgroup> q_tile: array<vec4f, TILE_ROWS * D4>;
var<workgroup> g_tile: array<vec4f, TILE_ROWS * D4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, place: Place) {
  let lane = lane_of(place);
  let work = work_of(group, lane);
  let rows_of_head = (work.batch * params.heads + group.y) * params.queries;
  let first = group.x * ROWS;
  let key = work.row;
  let own = min(key, params.keys - 1u);
  let last_query = params.queries - 1u;
  let at_k = params.k_offset + (work.batch * params.keys + own) * params.k_stride + work.head + work.part;
  let at_v = params.v_offset + (work.batch * params.keys + own) * params.v_stride + work.head + work.part;
  //@for d in 0..VECS_PER_LANE
  let k_$d = k[at_k + $du * LANES_PER_ROW] * params.scale;
  let v_$d = v[at_v + $du * LANES_PER_ROW];
  var dk_$d = vec4f();
  var dv_$d = vec4f();
  //@end
  var begin = 0u;
  if (MASK != 0u) {
    begin = first;
  }
  var limit = params.queries;
  //@if MASK == TREE
  let end_j = end[own];
  limit = 0u;
  for (var j = first; j < min(first + ROWS, params.keys); j++) {
    limit = max(limit, end[j]);
  }
  //@end
  for (var start = begin; start < limit; start += TILE_ROWS) {
    workgroupBarrier();
    for (var i = lane; i < TILE_ROWS * D4; i += 64u) {
      let row = work.batch * params.queries + min(start + i / D4, last_query);
      q_tile[i] = q[params.q_offset + row * params.q_stride + work.head + i % D4];
      g_tile[i] = d_out[row * params.heads * D4 + work.head + i % D4];
    }
    workgroupBarrier();
    for (var c = 0u; c < TILE_ROWS && start + c < limit; c++) {
      let query = start + c;
      var visible = MASK == 0u || key <= query;
      //@if MASK == TREE
      visible = visible && query < end_j;
      //@end
      let at = c * D4 + work.part;
      var s = 0.0;
      var dp = 0.0;
      //@for d in 0..VECS_PER_LANE
      let q_$d = q_tile[at + $du * LANES_PER_ROW];
      let g_$d = g_tile[at + $du * LANES_PER_ROW];
      s += dot(q_$d, k_$d);
      dp += dot(g_$d, v_$d);
      //@end
      let p = exp(select(-1e30, quad_sum(s) - lse[rows_of_head + query], visible));
      let ds = p * (quad_sum(dp) - delta[rows_of_head + query]);
      //@for d in 0..VECS_PER_LANE
      dk_$d = fma(vec4f(ds), q_$d, dk_$d);
      dv_$d = fma(vec4f(p), g_$d, dv_$d);
      //@end
    }
  }
  if (key < params.keys) {
    let row = work.batch * params.keys + key;
    //@for d in 0..VECS_PER_LANE
    gradient[params.dk_offset + row * params.dk_stride + work.head + work.part + $du * LANES_PER_ROW] = dk_$d * params.scale;
    gradient[params.dv_offset + row * params.dv_stride + work.head + work.part + $du * LANES_PER_ROW] = dv_$d;
    //@end
  }
}
