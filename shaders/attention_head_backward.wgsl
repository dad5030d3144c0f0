// dQ, dK and dV of fused attention over at most 64 tokens, all of a head by one workgroup: P = exp(scale·Q·Kᵀ - lse),
// dS = P ∘ (dO·Vᵀ - D) with D = rowsum(dO ∘ O), dQ = scale·dS·K, dK = scale·dSᵀ·Q, dV = Pᵀ·dO. For GPUs, where a training step has
// a few dozen tokens, and what three launches take is mostly the launches (Dao et al., FlashAttention, 2022, algorithm 4, is
// attention_flash_backward_q.wgsl and _kv.wgsl).
//
// Four neighboring lanes have a row of queries first, with their parts of q, dO and dQ in registers, and go through the keys, which all
// rows read at the same time: from caches. P and dS stay in workgroup memory. The same lanes then have a row of keys, and add up dK and
// dV by reading their column of both: five products instead of the seven of a path that recomputes P.
//
// Row i of P begins at its column i, so that neither writing a column nor reading a row meets a bank twice.
//
// Traffic: Q, K, V, O, dO and the gradients once from memory; no score ever reaches it.
//@work (40 * D4 + 5) * z * heads * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 4 * z * heads * (4 * D4 * (4 * queries + 4 * keys) + queries) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_mask.wgsl"
//@include "lib_attention_flash.wgsl"
// Its own, in place of the included file's:
//@budget registers 108, shared 32, waves 8 on navi31, waves 2 on gfx940

const LINE = 64u; // of P: keys, rounded up to an even number
const HEIGHT = 64u; // of P
const LANES = 256u; // LANES_PER_ROW for each query and each key

struct Params {
  queries: u32, keys: u32, heads: u32,
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  dq_offset: u32, dq_stride: u32, dk_offset: u32, dk_stride: u32, dv_offset: u32, dv_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> d_out: array<vec4f>; // [batch, queries, heads · head size / 4]
@group(0) @binding(5) var<storage, read> out: array<vec4f>;
@group(0) @binding(6) var<storage, read> lse: array<f32>; // [batch, heads, queries]
//@if MASK == TREE
@group(0) @binding(7) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(8) var<storage, read_write> gradient: array<vec4f>;

var<workgroup> p_of: array<f32, HEIGHT * LINE>;
var<workgroup> ds_of: array<f32, HEIGHT * LINE>;

// Where P[i, j] is.
fn place(i: u32, j: u32) -> u32 {
  let turned = i % LINE + j;
  return i * LINE + select(turned, turned - LINE, turned >= LINE);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, at: Place) {
  let work = work_of(vec3u(0u, group.y, group.z), lane_of(at));
  let row = work.row;
  let in_head = work.head + work.part;
  let last_key = params.keys - 1u;
  let query = min(row, params.queries - 1u);
  let at_q = params.q_offset + in_head + (work.batch * params.queries + query) * params.q_stride;
  let at_o = in_head + (work.batch * params.queries + query) * params.heads * D4;
  let from_k = params.k_offset + in_head + work.batch * params.keys * params.k_stride;
  let from_v = params.v_offset + in_head + work.batch * params.keys * params.v_stride;
  var delta = 0.0;
  //@for d in 0..VECS_PER_LANE
  let q_$d = q[at_q + $du * LANES_PER_ROW] * params.scale;
  let g_$d = d_out[at_o + $du * LANES_PER_ROW];
  delta += dot(g_$d, out[at_o + $du * LANES_PER_ROW]);
  var dq_$d = vec4f();
  //@end
  delta = quad_sum(delta);
  let lse_i = lse[(work.batch * params.heads + group.y) * params.queries + query];
  // Two keys at once, so that the loads of one do not wait for the arithmetic of the other.
  for (var first = 0u; first < params.keys; first += 2u) {
    //@for j in 0..2
    let own_$j = min(first + $ju, last_key);
    var s_$j = 0.0;
    var dp_$j = 0.0;
    //@for d in 0..VECS_PER_LANE
    let k_$j_$d = k[from_k + own_$j * params.k_stride + $du * LANES_PER_ROW];
    s_$j += dot(q_$d, k_$j_$d);
    dp_$j += dot(g_$d, v[from_v + own_$j * params.v_stride + $du * LANES_PER_ROW]);
    //@end
    var visible_$j = first + $ju <= last_key && (MASK == NONE || first + $ju <= query);
    //@if MASK == TREE
    visible_$j = visible_$j && query < end[own_$j];
    //@end
    let p_$j = exp(select(-1e30, quad_sum(s_$j) - lse_i, visible_$j));
    let ds_$j = p_$j * (quad_sum(dp_$j) - delta);
    //@for d in 0..VECS_PER_LANE
    dq_$d = fma(vec4f(ds_$j), k_$j_$d, dq_$d);
    //@end
    if (work.part == $ju && row < params.queries && first + $ju < LINE) {
      p_of[place(row, first + $ju)] = p_$j;
      ds_of[place(row, first + $ju)] = ds_$j;
    }
    //@end
  }
  if (row < params.queries) {
    let to = params.dq_offset + in_head + (work.batch * params.queries + row) * params.dq_stride;
    //@for d in 0..VECS_PER_LANE
    gradient[to + $du * LANES_PER_ROW] = dq_$d * params.scale;
    //@end
  }
  workgroupBarrier();
  if (row >= params.keys) {
    return;
  }
  //@for d in 0..VECS_PER_LANE
  var dk_$d = vec4f();
  var dv_$d = vec4f();
  //@end
  var begin = 0u;
  if (MASK != NONE) {
    begin = row;
  }
  var limit = params.queries;
  //@if MASK == TREE
  limit = end[row];
  //@end
  let from_q = params.q_offset + in_head + work.batch * params.queries * params.q_stride;
  let from_o = in_head + work.batch * params.queries * params.heads * D4;
  for (var i = begin; i < limit; i++) {
    let p = p_of[place(i, row)];
    let ds = ds_of[place(i, row)];
    //@for d in 0..VECS_PER_LANE
    dk_$d = fma(vec4f(ds), q[from_q + i * params.q_stride + $du * LANES_PER_ROW], dk_$d);
    dv_$d = fma(vec4f(p), d_out[from_o + i * params.heads * D4 + $du * LANES_PER_ROW], dv_$d);
    //@end
  }
  let key = work.batch * params.keys + row;
  //@for d in 0..VECS_PER_LANE
  gradient[params.dk_offset + in_head + key * params.dk_stride + $du * LANES_PER_ROW] = dk_$d * params.scale;
  gradient[params.dv_offset + in_head + key * params.dv_stride + $du * LANES_PER_ROW] = dv_$d;
  //@end
}
