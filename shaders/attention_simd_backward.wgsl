// P = exp(S - lse) and dS = P ∘ (dP - D), with S = scale · Q·Kᵀ and dP = dO·Vᵀ, in register tiles of 16 queries x 32 keys: one
// subgroup of 8 lanes a tile, of which a lane has all rows and 4 keys. Per 4 elements of a head it reads vec4s of 2 rows and of
// its 4 keys, and gets the other rows from its neighbors: 6 reads for 256 multiply-adds.
//
// Both matrices go to memory, and attention_simd_product.wgsl makes dQ, dK and dV of them: with P kept, five products in all
// instead of the seven of a path that recomputes it for the keys' side, and no pipeline with more than two unrolled loops
// (compilers of software adapters take very long over more).
//
// Tiles that the mask hides wholly: causal ones are not read by anybody and not written; those of a prefix tree are zeros,
// found by a vote of the subgroup.
//@work (16 * d4 + 5) * z * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 8 * z * (4 * d4 * (queries + keys) + queries + 4 * queries * line) + 4 * keys * (MASK == TREE) bytes

//@include "lib_attention_backward.wgsl"
//@include "lib_attention_simd.wgsl"

struct Params {
  queries: u32, keys: u32, heads: u32,
  d4: u32, // head size / 4
  line: u32, // length of a matrix row in vec4: keys / 4, rounded up
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, v_offset: u32, v_stride: u32, // in vec4
  scale: f32, // times log2(e)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(8) var<storage, read_write> p: array<vec4f>; // [batch, heads, queries, line]
@group(0) @binding(9) var<storage, read_write> d_s: array<vec4f>;

const LOG2E = 1.4426950408889634;

// The lane's part: two queries, four keys, as tokens of the batch.
struct Tile {
  queries: vec2u,
  keys: vec4u,
  head: u32, // where it begins in a token, in vec4
  depth: u32, // of the products, in vec4
}

fn queries_0(token: u32, i: u32) -> vec4f { return q[params.q_offset + token * params.q_stride + i]; }
fn queries_1(token: u32, i: u32) -> vec4f { return d_out[token * params.heads * params.d4 + i]; }
fn keys_0(token: u32, i: u32) -> vec4f { return k[params.k_offset + token * params.k_stride + i]; }
fn keys_1(token: u32, i: u32) -> vec4f { return v[params.v_offset + token * params.v_stride + i]; }

// Q·Kᵀ and dO·Vᵀ: of each of the tile's rows the lane's four columns.
//@for m in 0..2
fn product_$m(tile: Tile) -> array<vec4f, 16> {
  var sum = array<vec4f, 16>();
  for (var d = 0u; d < tile.depth; d++) {
    let i = tile.head + d;
    let own = array(queries_$m(tile.queries.x, i), queries_$m(tile.queries.y, i));
    let key = array(
      keys_$m(tile.keys.x, i), keys_$m(tile.keys.y, i), keys_$m(tile.keys.z, i), keys_$m(tile.keys.w, i),
    );
    //@for a in 0..2
    //@for r in 0..8
    sum[8 * $a + $r] = dots_add(subgroupBroadcast(own[$a], $ru), key, sum[8 * $a + $r]);
    //@end
    //@end
  }
  return sum;
}
//@end

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.y * 16u;
  let key = group.x * 32u + lane * 4u;
  let batch = group.z / params.heads;
  //@if MASK
  if (group.x * 32u >= first + 16u) {
    return;
  }
  //@end
  let keys = min(vec4u(key, key + 1u, key + 2u, key + 3u), vec4u(params.keys - 1u));
  let queries = min(vec2u(first + lane, first + 8u + lane), vec2u(params.queries - 1u));
  var tile = Tile(
    batch * params.queries + queries, batch * params.keys + keys, (group.z % params.heads) * params.d4, params.d4,
  );
  //@if MASK == TREE
  let ends = vec4u(end[keys.x], end[keys.y], end[keys.z], end[keys.w]);
  if (!subgroupAny(max(max(ends.x, ends.y), max(ends.z, ends.w)) > first)) {
    tile.depth = 0u;
  }
  //@end
  // Results leave the registers through arrays, so that one loop with one store each writes them.
  var s = product_0(tile);
  var d_p = product_1(tile);
  if (key >= params.keys) {
    return;
  }
  let rows = min(16u, params.queries - first);
  for (var r = 0u; r < rows; r++) {
    let row = group.z * params.queries + first + r;
    var visible = vec4u(key, key + 1u, key + 2u, key + 3u) < vec4u(params.keys);
    //@if MASK
    visible &= keys <= vec4u(first + r);
    //@end
    //@if MASK == TREE
    visible &= vec4u(first + r) < ends;
    //@end
    let value = exp2(select(vec4f(-1e30), s[r] * params.scale - lse[row] * LOG2E, visible));
    p[row * params.line + key / 4u] = value;
    d_s[row * params.line + key / 4u] = value * (d_p[r] - delta[row]);
  }
}
