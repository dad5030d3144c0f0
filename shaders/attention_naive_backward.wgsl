// P[i, j] = exp(S[i, j] - lse[i]) from the scores, and dS[i, j] = P[i, j] · (dO_i · v_j - D_i), one lane a score.
//
// The softmax's gradient is dS = P ∘ (dP - rowsum(P ∘ dP)) with dP = dO·Vᵀ; its row sum is Σ_d dO[i, d] · O[i, d] = D_i,
// which attention_delta computes without P (Dao et al., FlashAttention, 2022, section 3.1).
//@work (2 * head_dim + 4) * z * queries * keys operations
//@work 4 * z * (head_dim * (queries + keys) + 2 * queries + 3 * queries * keys) bytes
//@budget registers 24, shared 0

struct Params {
  queries: u32, keys: u32, heads: u32, head_dim: u32,
  v_offset: u32, v_stride: u32, // in elements, from token to token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> d_out: array<f32>; // [batch, queries, heads · head_dim]
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> lse: array<f32>; // [batch, heads, queries]
@group(0) @binding(4) var<storage, read> delta: array<f32>; // [batch, heads, queries]
@group(0) @binding(5) var<storage, read_write> scores: array<f32>; // [batch, heads, queries, keys]; becomes P
@group(0) @binding(6) var<storage, read_write> d_scores: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y;
  let j = id.x;
  if (i >= params.queries || j >= params.keys) {
    return;
  }
  let batch = id.z / params.heads;
  let head = id.z % params.heads;
  let row = id.z * params.queries + i;
  let at_o = ((batch * params.queries + i) * params.heads + head) * params.head_dim;
  let at_v = params.v_offset + (batch * params.keys + j) * params.v_stride + head * params.head_dim;
  var sum = 0.0;
  for (var d = 0u; d < params.head_dim; d++) {
    sum = fma(d_out[at_o + d], v[at_v + d], sum);
  }
  let at = row * params.keys + j;
  let p = exp(scores[at] - lse[row]);
  scores[at] = p;
  d_scores[at] = p * (sum - delta[row]);
}
