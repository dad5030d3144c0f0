// Fused attention, forward, for a processor: one workgroup is one subgroup of 8 lanes, a vector register, and takes ROWS queries
// of one head. Their scores for every key fit into workgroup memory, which is cache, so that the matrix of scores never reaches
// main memory and the softmax needs no running maximum.
//
// A lane owns ROWS_PER_LANE whole rows, 8 apart, in all three steps, so that nothing but values of K and V passes between lanes,
// by subgroupBroadcast.
//
//   1. S = Q·Kᵀ, in tiles of all rows x TILE_KEYS keys. Per 4 elements of a head a lane reads vec4s of its own rows of Q and of
//      KEYS_PER_LANE keys, and gets the other keys from its neighbors: ROWS_PER_LANE + KEYS_PER_LANE reads for
//      32·ROWS_PER_LANE·KEYS_PER_LANE multiply-adds.
//   2. P = softmax(S), but for the division by the sum, which waits for the end. Maxima and sums need no exchange. Base 2, with
//      log2(e) in the scale.
//   3. O = P·V, in tiles of all rows x 32 elements. Per 4 keys a lane reads its rows' vec4s of P and one vec4 of each key's V.
//
// Tiles of keys that the mask hides from all rows are left out of all three: causal ones by the limit, those of a prefix tree
// by one vote of the subgroup a tile.
//
// Traffic: K and V are read once for every ROWS queries, from buffers or from TEXTURES (src/kernels/matrix-texture.ts says why).
// Only the first 8 lanes work, so any subgroup size of at least 8 will do. Head size a multiple of 4; at most 4 · ROOM keys and
// 32 tiles of them.
//@work (16 * d4 + 4) * z * heads * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 4 * z * heads * (8 * d4 * (queries + keys) + queries * LSE) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_mask.wgsl"
//@include "lib_attention_simd.wgsl"

const LSE = 0u;
const TEXTURES = 1u;
const ROWS_PER_LANE = 5u;
const KEYS_PER_LANE = 5u; // in a tile
const ROOM = 50u; // for a row's scores, in vec4
const ROWS = 8 * ROWS_PER_LANE; // of the workgroup
const TILE_KEYS = 8 * KEYS_PER_LANE;
const TILE_VECS = 2 * KEYS_PER_LANE; // of a row's scores in a tile

struct Params {
  queries: u32, keys: u32, heads: u32,
  d4: u32, // head size / 4
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
//@if TEXTURES
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

// The vec4 of number i of a token of the batch, among its queries, keys or values.
//@if TEXTURES
fn q_at(token: u32, i: u32) -> vec4f { return textureLoad(q, vec2u(params.q_offset + i, token)); }
fn k_at(token: u32, i: u32) -> vec4f { return textureLoad(k, vec2u(params.k_offset + i, token)); }
fn v_at(token: u32, i: u32) -> vec4f { return textureLoad(v, vec2u(params.v_offset + i, token)); }
//@else
fn q_at(token: u32, i: u32) -> vec4f { return q[token * params.q_stride + params.q_offset + i]; }
fn k_at(token: u32, i: u32) -> vec4f { return k[token * params.k_stride + params.k_offset + i]; }
fn v_at(token: u32, i: u32) -> vec4f { return v[token * params.v_stride + params.v_offset + i]; }
//@end

// What a lane works on.
struct Work {
  lane: u32,
  batch: u32,
  head: u32, // where it begins in a token, in vec4
  first: u32, // query of the workgroup
  limit: u32, // behind the last key that any of its queries sees
}

// S, then P: a row of ROOM for each query. A lane reads and writes its own rows alone, hence no barriers.
var<workgroup> scores: array<vec4f, ROWS * ROOM>;

// Whether some query of the workgroup sees any key of a tile; a bit a tile.
var<private> visible_tiles: u32;

fn is_hidden(key: u32) -> bool {
  return MASK == TREE && (visible_tiles & (1u << (key / TILE_KEYS))) == 0u;
}

// The lane's row of number a: its query, and where its scores begin.
fn query_of(work: Work, a: u32) -> u32 {
  return work.first + a * 8u + work.lane;
}
fn scores_of(work: Work, a: u32) -> u32 {
  return (a * 8u + work.lane) * ROOM;
}

// The scores of the lane's rows for the keys from `start` on.
fn tile_scores(work: Work, start: u32) -> array<vec4f, TILE_VECS * ROWS_PER_LANE> {
  var query: array<u32, ROWS_PER_LANE>;
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    query[a] = work.batch * params.queries + min(query_of(work, a), params.queries - 1u);
  }
  var key: array<u32, KEYS_PER_LANE>;
  for (var t = 0u; t < KEYS_PER_LANE; t++) {
    key[t] = work.batch * params.keys + min(start + t * 8u + work.lane, params.keys - 1u);
  }
  var s = array<array<f32, ROWS_PER_LANE>, TILE_KEYS>();
  for (var d = 0u; d < params.d4; d++) {
    var own_q: array<vec4f, ROWS_PER_LANE>;
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      own_q[a] = q_at(query[a], work.head + d);
    }
    var own_k: array<vec4f, KEYS_PER_LANE>;
    for (var t = 0u; t < KEYS_PER_LANE; t++) {
      own_k[t] = k_at(key[t], work.head + d);
    }
    //@for t in 0..KEYS_PER_LANE
    //@for r in 0..8
    let k_$t_$r = subgroupBroadcast(own_k[$t], $ru);
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      s[8 * $t + $r][a] = dot_add(own_q[a], k_$t_$r, s[8 * $t + $r][a]);
    }
    //@end
    //@end
  }
  var rows: array<vec4f, TILE_VECS * ROWS_PER_LANE>;
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    //@for t in 0..TILE_VECS
    rows[a * TILE_VECS + $t] = vec4f(s[4 * $t][a], s[4 * $t + 1][a], s[4 * $t + 2][a], s[4 * $t + 3][a]);
    //@end
  }
  return rows;
}

fn write_scores(work: Work) {
  visible_tiles = 0xffffffffu;
  for (var start = 0u; start < work.limit; start += TILE_KEYS) {
    //@if MASK == TREE
    var last_end = 0u;
    for (var t = 0u; t < KEYS_PER_LANE; t++) {
      last_end = max(last_end, end[min(start + t * 8u + work.lane, params.keys - 1u)]);
    }
    if (!subgroupAny(last_end > work.first)) {
      visible_tiles &= ~(1u << (start / TILE_KEYS));
      continue;
    }
    //@end
    let s = tile_scores(work, start);
    for (var i = 0u; i < TILE_VECS * ROWS_PER_LANE; i++) {
      let at = start / 4u + i % TILE_VECS;
      if (at < ROOM) {
        scores[scores_of(work, i / TILE_VECS) + at] = s[i];
      }
    }
  }
}

// Hides what the mask hides from each row, and gives its largest score.
fn mask_scores(work: Work) -> array<f32, ROWS_PER_LANE> {
  var largest: array<vec4f, ROWS_PER_LANE>;
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    largest[a] = vec4f(-1e30);
  }
  // Keys that every row sees need no comparison.
  let clear = array(params.keys, min(params.keys, work.first), 0u)[MASK] / 4u * 4u;
  for (var key = 0u; key < clear; key += 4u) {
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      largest[a] = max(largest[a], scores[scores_of(work, a) + key / 4u]);
    }
  }
  for (var key = clear; key < work.limit; key += 4u) {
    if (is_hidden(key)) {
      key += TILE_KEYS - 4u;
      continue;
    }
    let keys = key + vec4u(0u, 1u, 2u, 3u);
    //@if MASK == TREE
    let last = min(keys, vec4u(params.keys - 1u));
    let ends = vec4u(end[last.x], end[last.y], end[last.z], end[last.w]);
    //@end
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      let query = vec4u(query_of(work, a));
      var visible = keys < vec4u(params.keys);
      //@if MASK
      visible &= keys <= query;
      //@end
      //@if MASK == TREE
      visible &= query < ends;
      //@end
      let at = scores_of(work, a) + key / 4u;
      let s = select(vec4f(-1e30), scores[at], visible);
      scores[at] = s;
      largest[a] = max(largest[a], s);
    }
  }
  var row_max: array<f32, ROWS_PER_LANE>;
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    row_max[a] = max(max(largest[a].x, largest[a].y), max(largest[a].z, largest[a].w));
  }
  return row_max;
}

// The exponentials in place of the scores; gives 1 / their sum, of each row.
fn write_exponentials(work: Work, row_max: array<f32, ROWS_PER_LANE>) -> array<f32, ROWS_PER_LANE> {
  var sums = array<vec4f, ROWS_PER_LANE>();
  for (var key = 0u; key < work.limit; key += 4u) {
    if (is_hidden(key)) {
      key += TILE_KEYS - 4u;
      continue;
    }
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      let at = scores_of(work, a) + key / 4u;
      let p = exp2(scores[at] * params.scale - row_max[a] * params.scale);
      scores[at] = p;
      sums[a] += p;
    }
  }
  var inverse: array<f32, ROWS_PER_LANE>;
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    let sum = sums[a].x + sums[a].y + sums[a].z + sums[a].w;
    inverse[a] = 1.0 / sum;
    //@if LSE
    let row = (work.batch * params.heads + work.head / params.d4) * params.queries + query_of(work, a);
    if (query_of(work, a) < params.queries) {
      lse[row] = (row_max[a] * params.scale + log2(sum)) * LN2;
    }
    //@end
  }
  return inverse;
}

// Of the lane's rows the 8 vec4s of the output from `start` on.
fn tile_output(work: Work, start: u32, inverse: array<f32, ROWS_PER_LANE>) -> array<vec4f, ROWS> {
  let column = work.head + min(start + work.lane, params.d4 - 1u);
  var o = array<vec4f, ROWS>();
  for (var key = 0u; key < work.limit; key += 4u) {
    if (is_hidden(key)) {
      key += TILE_KEYS - 4u;
      continue;
    }
    var p: array<vec4f, ROWS_PER_LANE>;
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      p[a] = scores[scores_of(work, a) + key / 4u];
    }
    var own_v: array<vec4f, 4>;
    for (var j = 0u; j < 4u; j++) {
      own_v[j] = v_at(work.batch * params.keys + min(key + j, params.keys - 1u), column);
    }
    //@for r in 0..8
    let v_$r = array(
      subgroupBroadcast(own_v[0], $ru), subgroupBroadcast(own_v[1], $ru),
      subgroupBroadcast(own_v[2], $ru), subgroupBroadcast(own_v[3], $ru),
    );
    for (var a = 0u; a < ROWS_PER_LANE; a++) {
      o[8u * a + $r] = combine_add(p[a], v_$r, o[8u * a + $r]);
    }
    //@end
  }
  for (var a = 0u; a < ROWS_PER_LANE; a++) {
    for (var r = 0u; r < 8u; r++) {
      o[8u * a + r] *= inverse[a];
    }
  }
  return o;
}

fn write_output(work: Work, inverse: array<f32, ROWS_PER_LANE>) {
  for (var start = 0u; start < params.d4; start += 8u) {
    let o = tile_output(work, start, inverse);
    for (var i = 0u; i < ROWS; i++) {
      let query = query_of(work, i / 8u);
      let element = start + i % 8u;
      if (query < params.queries && element < params.d4) {
        out[(work.batch * params.queries + query) * params.heads * params.d4 + work.head + element] = o[i];
      }
    }
  }
}

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.x * ROWS;
  let limit = select(min(params.keys, first + ROWS), params.keys, MASK == NONE);
  let work = Work(lane, group.z, group.y * params.d4, first, limit);
  write_scores(work);
  let row_max = mask_scores(work);
  write_output(work, write_exponentials(work, row_max));
}
