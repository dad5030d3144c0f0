// dQ of fused attention: P is recomputed from the saved log-sum-exp, dS = P ∘ (dO·Vᵀ - D), dQ = scale · dS·K (Dao et al.,
// FlashAttention, 2022, algorithm 4). Lanes, tiles and masks as in attention_flash.wgsl; a lane keeps its part of the
// query, of dO and of dQ in registers, and needs no atomics, since it alone adds to its dQ.
//
// Traffic: Q, dO and dQ once, K and V once for every ROWS queries.
//@work (24 * D4 + 5) * z * heads * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 8 * z * heads * (D4 * (6 * queries + 4 * keys) + queries) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_backward.wgsl"
//@include "lib_attention_flash.wgsl"
//@include "lib_attention_flash_keys.wgsl"

struct Params {
  queries: u32, keys: u32, heads: u32,
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  dq_offset: u32, dq_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(8) var<storage, read_write> dq: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, place: Place) {
  let lane = lane_of(place);
  let work = work_of(group, lane);
  let first = group.x * ROWS;
  let query = work.row;
  let own = min(query, params.queries - 1u);
  let at_q = params.q_offset + (work.batch * params.queries + own) * params.q_stride + work.head + work.part;
  let at_o = (work.batch * params.queries + own) * params.heads * D4 + work.head + work.part;
  let at_row = (work.batch * params.heads + group.y) * params.queries + own;
  let lse_i = lse[at_row];
  let delta_i = delta[at_row];
  //@for d in 0..VECS_PER_LANE
  let q_$d = q[at_q + $du * LANES_PER_ROW] * params.scale;
  let g_$d = d_out[at_o + $du * LANES_PER_ROW];
  var dq_$d = vec4f();
  //@end
  var limit = params.keys;
  if (MASK != 0u) {
    limit = min(limit, first + ROWS);
  }
  for (var start = 0u; start < limit; start += TILE_ROWS) {
    load_tiles(work, start, lane);
    for (var c = 0u; c < TILE_ROWS && start + c < limit; c++) {
      let key = start + c;
      var visible = MASK == 0u || key <= query;
      //@if MASK == TREE
      let end_j = end[key];
      if (end_j <= first) {
        continue;
      }
      visible = visible && query < end_j;
      //@end
      let at = c * D4 + work.part;
      var s = 0.0;
      var dp = 0.0;
      //@for d in 0..VECS_PER_LANE
      let k_$d = k_tile[at + $du * LANES_PER_ROW];
      s += dot(q_$d, k_$d);
      dp += dot(g_$d, v_tile[at + $du * LANES_PER_ROW]);
      //@end
      let p = exp(select(-1e30, quad_sum(s) - lse_i, visible));
      let ds = p * (quad_sum(dp) - delta_i);
      //@for d in 0..VECS_PER_LANE
      dq_$d = fma(vec4f(ds), k_$d, dq_$d);
      //@end
    }
  }
  if (query < params.queries) {
    let at = params.dq_offset + (work.batch * params.queries + query) * params.dq_stride + work.head + work.part;
    //@for d in 0..VECS_PER_LANE
    dq[at + $du * LANES_PER_ROW] = dq_$d * params.scale;
    //@end
  }
}
