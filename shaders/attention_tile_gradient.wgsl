// P = exp(S - lse) and dS = P ∘ (dP - D) in tiles of 16 queries x 32 keys, S = scale · Q·Kᵀ and dP = dO·Vᵀ by the register
// tiling of attention_rows.wgsl, one subgroup a tile. Two matrices in main memory, which attention_tile_product then
// multiplies into dQ, dK and dV: with P kept, five products in all instead of the seven of a path that recomputes it for
// the keys' side, and no pipeline with more than two unrolled loops (compilers of software adapters take very long over more).
//
// Tiles that the mask hides wholly: causal ones are not read by anybody and not written; those of a prefix tree are zeros,
// found by a vote of the subgroup.

//@include "lib_attention_mask.wgsl"

enable subgroups;
// A vote of the subgroup is the same in all its lanes; the compiler's analysis takes it for one lane's own.
diagnostic(off, subgroup_uniformity);


struct Params {
  queries: u32, keys: u32, heads: u32,
  d4: u32, // head size / 4
  line: u32, // length of a matrix row in vec4: keys / 4, rounded up
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> d_out: array<vec4f>; // [batch, queries, heads · d4]
@group(0) @binding(5) var<storage, read> lse: array<f32>; // [batch, heads, queries]
@group(0) @binding(6) var<storage, read> delta: array<f32>; // [batch, heads, queries]
//@if MASK == TREE
@group(0) @binding(7) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(8) var<storage, read_write> p: array<vec4f>; // [batch, heads, queries, line]
@group(0) @binding(9) var<storage, read_write> d_s: array<vec4f>;

const LOG2E = 1.4426950408889634;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = group.y * 16u;
  let key = group.x * 32u + lane * 4u;
  let batch = group.z / params.heads;
  let head = (group.z % params.heads) * params.d4;
  let rows = min(16u, params.queries - first);
  //@if MASK
  if (group.x * 32u >= first + 16u) {
    return;
  }
  //@end
  var depth = params.d4;
  let keys = min(vec4u(key, key + 1u, key + 2u, key + 3u), vec4u(params.keys - 1u));
  //@if MASK == TREE
  let ends = vec4u(end[keys.x], end[keys.y], end[keys.z], end[keys.w]);
  if (!subgroupAny(max(max(ends.x, ends.y), max(ends.z, ends.w)) > first)) {
    depth = 0u;
  }
  //@end
  // Results leave the registers through arrays, so that one loop with one store each writes them.
  var block_s: array<vec4f, 16>;
  var block_dp: array<vec4f, 16>;
  //@for a in 0..2
  let row_$a = batch * params.queries + min(first + $au * 8u + lane, params.queries - 1u);
  let at_q_$a = params.q_offset + row_$a * params.q_stride + head;
  let at_o_$a = row_$a * params.heads * params.d4 + head;
  //@for r in 0..8
  //@for j in 0..4
  var s_$a_$r_$j = 0.0;
  var t_$a_$r_$j = 0.0;
  //@end
  //@end
  //@end
  //@for j in 0..4
  let at_k_$j = params.k_offset + (batch * params.keys + keys[$j]) * params.k_stride + head;
  let at_v_$j = params.v_offset + (batch * params.keys + keys[$j]) * params.v_stride + head;
  //@end
  for (var d = 0u; d < depth; d++) {
    //@for a in 0..2
    let own_$a = q[at_q_$a + d];
    //@end
    //@for j in 0..4
    let k_$j = k[at_k_$j + d];
    //@end
    //@for a in 0..2
    //@for r in 0..8
    let x_$a_$r = subgroupBroadcast(own_$a, $ru);
    //@for j in 0..4
    s_$a_$r_$j = fma(x_$a_$r.x, k_$j.x, fma(x_$a_$r.y, k_$j.y, fma(x_$a_$r.z, k_$j.z, fma(x_$a_$r.w, k_$j.w, s_$a_$r_$j))));
    //@end
    //@end
    //@end
  }
  //@for a in 0..2
  //@for r in 0..8
  block_s[$au * 8u + $ru] = vec4f(s_$a_$r_0, s_$a_$r_1, s_$a_$r_2, s_$a_$r_3);
  //@end
  //@end
  for (var d = 0u; d < depth; d++) {
    //@for a in 0..2
    let own_$a = d_out[at_o_$a + d];
    //@end
    //@for j in 0..4
    let v_$j = v[at_v_$j + d];
    //@end
    //@for a in 0..2
    //@for r in 0..8
    let x_$a_$r = subgroupBroadcast(own_$a, $ru);
    //@for j in 0..4
    t_$a_$r_$j = fma(x_$a_$r.x, v_$j.x, fma(x_$a_$r.y, v_$j.y, fma(x_$a_$r.z, v_$j.z, fma(x_$a_$r.w, v_$j.w, t_$a_$r_$j))));
    //@end
    //@end
    //@end
  }
  //@for a in 0..2
  //@for r in 0..8
  block_dp[$au * 8u + $ru] = vec4f(t_$a_$r_0, t_$a_$r_1, t_$a_$r_2, t_$a_$r_3);
  //@end
  //@end
  if (key >= params.keys) {
    return;
  }
  for (var r = 0u; r < rows; r++) {
    let row = group.z * params.queries + first + r;
    var visible = vec4u(key, key + 1u, key + 2u, key + 3u) < vec4u(params.keys);
    //@if MASK
    visible &= keys <= vec4u(first + r);
    //@end
    //@if MASK == TREE
    visible &= vec4u(first + r) < ends;
    //@end
    let value = select(vec4f(), exp2(block_s[r] * params.scale - lse[row] * LOG2E), visible);
    p[row * params.line + key / 4u] = value;
    d_s[row * params.line + key / 4u] = value * (block_dp[r] - delta[row]);
  }
}
