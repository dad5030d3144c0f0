// D[b, h, i] = Σ_d dO[b, i, h, d] · O[b, i, h, d], one lane a row and head: what the softmax's gradient subtracts from every
// dP of the row (Dao et al., FlashAttention, 2022, section 3.1). It reads each of its operands once.
//@work 2 * rows * heads * head_dim operations, 4 * rows * heads * (2 * head_dim + 1) bytes
//@budget registers 24, shared 0

struct Params {
  rows: u32, // batch · queries
  queries: u32, heads: u32, head_dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> d_out: array<f32>; // [batch, queries, heads · head_dim]
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>; // [batch, heads, queries]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.y * groups.x + group.x) * 64u + lane;
  let row = index / params.heads;
  if (row >= params.rows) {
    return;
  }
  let start = index * params.head_dim;
  var sum = 0.0;
  for (var d = 0u; d < params.head_dim; d++) {
    sum = fma(d_out[start + d], out[start + d], sum);
  }
  let batch = row / params.queries;
  delta[(batch * params.heads + index % params.heads) * params.queries + row % params.queries] = sum;
}
