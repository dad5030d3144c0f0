// Fused attention, forward, by register tiles: one workgroup is one subgroup of 8 lanes and takes ROWS queries of one
// head. Their scores for every key fit into workgroup memory, so the matrix of scores never reaches main memory.
//
//   1. S = Q·Kᵀ, in tiles of ROWS x 32 keys. A lane owns 4 keys and all rows: ROWS x 4 accumulators. Per 4 elements of
//      a head it loads vec4s of its own keys and of its own queries, and gets the other queries from its neighbours by
//      subgroupBroadcast, which costs far less than a load where loads are gathers.
//   2. Softmax. A lane owns whole rows, so that maxima and sums need no exchange between lanes. Exponentials stay
//      unnormalised; 1/sum waits for the end. Base 2, with log2(e) in the scale.
//   3. O = P·V, in tiles of ROWS x 32 elements: the tile of step 1 again, with P from workgroup memory.
//
// Tiles of 32 keys that the mask hides from all rows are left out of all three: causal ones by the limit, those of a
// prefix tree by one vote of the subgroup a tile, noted in the bits of `seen`.
//
// Traffic: K and V are read once for every ROWS queries. Only the first 8 lanes work, so any subgroup size of at least
// 8 will do. Head size a multiple of 4; at most 4 · KEYS4 keys and 1024.

enable subgroups;
// A vote or maximum of the subgroup is the same in all its lanes; the compiler's analysis takes it for one lane's own.
diagnostic(off, subgroup_uniformity);

const MASK = 0u; // 0 every key is seen, 1 causal (j <= i), 2 prefix tree (j <= i < end[j])
const TREE = 0u;
const LSE = 0u;
const ROWS = 16u;
const HALVES = 2u; // ROWS / 8: the rows that a lane owns
const KEYS4 = 64u; // room for scores, in vec4 a row

struct Params {
  queries: u32, keys: u32, heads: u32,
  d4: u32, // head size / 4
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
//@if TREE
@group(0) @binding(4) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
//@if LSE
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
//@end

//@if TREE
fn ends_from(key: u32) -> vec4u {
  let last = params.keys - 1u;
  return vec4u(end[min(key, last)], end[min(key + 1u, last)], end[min(key + 2u, last)], end[min(key + 3u, last)]);
}
//@end

var<workgroup> scores: array<vec4f, ROWS * KEYS4>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * ROWS;
  let head = group.y * params.d4;
  let batch = group.z;
  let rows = min(ROWS, params.queries - first);
  let last_key = params.keys - 1u;
  // Results leave the registers through an array, so that one loop with one store writes them: a store unrolled for
  // every row would make most of the compiled code.
  var block: array<vec4f, ROWS>;
  var limit = params.keys;
  var clear = params.keys / 4u * 4u; // keys before this one are seen by every row
  //@if MASK
  limit = min(limit, first + ROWS);
  clear = min(clear, first / 4u * 4u);
  //@end
  //@if TREE
  clear = 0u;
  //@end
  //@for a in 0..HALVES
  let row_$a = first + $au * 8u + lane;
  let at_q_$a = params.q_offset + (batch * params.queries + min(row_$a, params.queries - 1u)) * params.q_stride + head;
  //@end
  let from_k = params.k_offset + batch * params.keys * params.k_stride + head;
  var seen = 0xffffffffu;
  for (var start = 0u; start < limit; start += 32u) {
    let key = start + lane * 4u;
    //@if TREE
    let ends = ends_from(key);
    if (!subgroupAny(max(max(ends.x, ends.y), max(ends.z, ends.w)) > first)) {
      seen &= ~(1u << (start / 32u));
      continue;
    }
    //@end
    //@for j in 0..4
    let at_k_$j = from_k + min(key + $ju, last_key) * params.k_stride;
    //@end
    //@for a in 0..HALVES
    //@for r in 0..8
    //@for j in 0..4
    var s_$a_$r_$j = 0.0;
    //@end
    //@end
    //@end
    for (var d = 0u; d < params.d4; d++) {
      //@for a in 0..HALVES
      let own_$a = q[at_q_$a + d];
      //@end
      //@for j in 0..4
      let k_$j = k[at_k_$j + d];
      //@end
      //@for a in 0..HALVES
      //@for r in 0..8
      let x_$a_$r = subgroupBroadcast(own_$a, $ru);
      //@for j in 0..4
      s_$a_$r_$j = fma(x_$a_$r.x, k_$j.x, fma(x_$a_$r.y, k_$j.y, fma(x_$a_$r.z, k_$j.z, fma(x_$a_$r.w, k_$j.w, s_$a_$r_$j))));
      //@end
      //@end
      //@end
    }
    //@for a in 0..HALVES
    //@for r in 0..8
    block[$au * 8u + $ru] = vec4f(s_$a_$r_0, s_$a_$r_1, s_$a_$r_2, s_$a_$r_3);
    //@end
    //@end
    for (var r = 0u; r < rows; r++) {
      scores[r * KEYS4 + key / 4u] = block[r];
    }
  }
  workgroupBarrier();

  //@for a in 0..HALVES
  let line_$a = ($au * 8u + lane) * KEYS4;
  var most_$a = vec4f(-1e30);
  //@end
  for (var c = 0u; c < clear; c += 4u) {
    //@for a in 0..HALVES
    most_$a = max(most_$a, scores[line_$a + c / 4u]);
    //@end
  }
  for (var c = clear; c < limit; c += 4u) {
    //@if TREE
    if ((seen & (1u << (c / 32u))) == 0u) {
      c += 28u;
      continue;
    }
    //@end
    let key = vec4u(c, c + 1u, c + 2u, c + 3u);
    //@if TREE
    let ends = ends_from(c);
    //@end
    //@for a in 0..HALVES
    var visible_$a = key < vec4u(params.keys);
    //@if MASK
    visible_$a &= key <= vec4u(row_$a);
    //@end
    //@if TREE
    visible_$a &= vec4u(row_$a) < ends;
    //@end
    let masked_$a = select(vec4f(-1e30), scores[line_$a + c / 4u], visible_$a);
    scores[line_$a + c / 4u] = masked_$a;
    most_$a = max(most_$a, masked_$a);
    //@end
  }
  //@for a in 0..HALVES
  let max_$a = max(max(most_$a.x, most_$a.y), max(most_$a.z, most_$a.w)) * params.scale;
  var sums_$a = vec4f();
  //@end
  for (var c = 0u; c < limit; c += 4u) {
    //@if TREE
    if ((seen & (1u << (c / 32u))) == 0u) {
      c += 28u;
      continue;
    }
    //@end
    //@for a in 0..HALVES
    let p_$a = exp2(scores[line_$a + c / 4u] * params.scale - max_$a);
    scores[line_$a + c / 4u] = p_$a;
    sums_$a += p_$a;
    //@end
  }
  //@for a in 0..HALVES
  let sum_$a = sums_$a.x + sums_$a.y + sums_$a.z + sums_$a.w;
  let inverse_$a = 1.0 / sum_$a;
  //@if LSE
  if (row_$a < params.queries) {
    lse[(batch * params.heads + group.y) * params.queries + row_$a] = (max_$a + log2(sum_$a)) * 0.6931471805599453;
  }
  //@end
  //@end
  workgroupBarrier();

  let step_v = 4u * params.v_stride;
  for (var tile = 0u; tile < params.d4; tile += 8u) {
    let column = tile + lane;
    let from_v = params.v_offset + batch * params.keys * params.v_stride + head + min(column, params.d4 - 1u);
    let last_v = from_v + last_key * params.v_stride;
    //@for j in 0..4
    var at_v_$j = min(from_v + $ju * params.v_stride, last_v);
    //@end
    //@for a in 0..HALVES
    //@for r in 0..8
    var o_$a_$r_x = 0.0;
    var o_$a_$r_y = 0.0;
    var o_$a_$r_z = 0.0;
    var o_$a_$r_w = 0.0;
    //@end
    //@end
    for (var c = 0u; c < limit; c += 4u) {
      //@if TREE
      if ((seen & (1u << (c / 32u))) == 0u) {
        c += 28u;
        //@for j in 0..4
        at_v_$j = min(at_v_$j + 8u * step_v, last_v);
        //@end
        continue;
      }
      //@end
      //@for a in 0..HALVES
      let own_$a = scores[line_$a + c / 4u];
      //@end
      //@for j in 0..4
      let v_$j = v[at_v_$j];
      at_v_$j = min(at_v_$j + step_v, last_v);
      //@end
      //@for a in 0..HALVES
      //@for r in 0..8
      let p_$a_$r = subgroupBroadcast(own_$a, $ru);
      o_$a_$r_x = fma(p_$a_$r.x, v_0.x, fma(p_$a_$r.y, v_1.x, fma(p_$a_$r.z, v_2.x, fma(p_$a_$r.w, v_3.x, o_$a_$r_x))));
      o_$a_$r_y = fma(p_$a_$r.x, v_0.y, fma(p_$a_$r.y, v_1.y, fma(p_$a_$r.z, v_2.y, fma(p_$a_$r.w, v_3.y, o_$a_$r_y))));
      o_$a_$r_z = fma(p_$a_$r.x, v_0.z, fma(p_$a_$r.y, v_1.z, fma(p_$a_$r.z, v_2.z, fma(p_$a_$r.w, v_3.z, o_$a_$r_z))));
      o_$a_$r_w = fma(p_$a_$r.x, v_0.w, fma(p_$a_$r.y, v_1.w, fma(p_$a_$r.z, v_2.w, fma(p_$a_$r.w, v_3.w, o_$a_$r_w))));
      //@end
      //@end
    }
    //@for a in 0..HALVES
    //@for r in 0..8
    block[$au * 8u + $ru] = vec4f(o_$a_$r_x, o_$a_$r_y, o_$a_$r_z, o_$a_$r_w) * subgroupBroadcast(inverse_$a, $ru);
    //@end
    //@end
    if (column < params.d4) {
      for (var r = 0u; r < rows; r++) {
        out[(batch * params.queries + first + r) * params.heads * params.d4 + head + column] = block[r];
      }
    }
  }
}
