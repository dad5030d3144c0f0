// S[i, j] = scale · q_i · k_j, one lane a score: the first step of the naive form, which writes the whole matrix of scores
// of every head out to memory. The fused kernels never do; this form is the oracle they are checked against.
//
// Hidden keys get a large negative score, so that the softmax gives them exactly 0.
//@work 2 * z * head_dim * (queries * keys - (MASK != NONE) * queries * (queries - 1) / 2) operations
//@work 4 * z * (head_dim * (queries + keys) + queries * keys) + 4 * keys * (MASK == TREE) bytes
//@budget registers 24, shared 0

//@include "lib_attention_mask.wgsl"

struct Params {
  queries: u32, keys: u32, heads: u32, head_dim: u32,
  q_offset: u32, q_stride: u32, k_offset: u32, k_stride: u32, // in elements, from token to token
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
//@if MASK == TREE
@group(0) @binding(3) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(4) var<storage, read_write> scores: array<f32>; // [batch, heads, queries, keys]

fn visible(i: u32, j: u32) -> bool {
  var seen = MASK == 0u || j <= i;
  //@if MASK == TREE
  seen = seen && i < end[j];
  //@end
  return seen;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y;
  let j = id.x;
  if (i >= params.queries || j >= params.keys) {
    return;
  }
  let batch = id.z / params.heads;
  let head = id.z % params.heads;
  let at_q = params.q_offset + (batch * params.queries + i) * params.q_stride + head * params.head_dim;
  let at_k = params.k_offset + (batch * params.keys + j) * params.k_stride + head * params.head_dim;
  var sum = 0.0;
  for (var d = 0u; d < params.head_dim; d++) {
    sum = fma(q[at_q + d], k[at_k + d], sum);
  }
  scores[(id.z * params.queries + i) * params.keys + j] = select(-1e30, sum * params.scale, visible(i, j));
}
