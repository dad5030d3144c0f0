// Y[r, ·] = scale · Σ_c M[r, c] · X[c, ·] for every head, one lane an element: with M = P and X = V the last step of the
// naive forward pass; with M = dS, dSᵀ, Pᵀ (other strides) and X = K, Q, dO those of the backward pass.
//@work 2 * z * rows * columns * head_dim operations, 4 * z * (rows * columns + (rows + columns) * head_dim) bytes
//@budget registers 24, shared 0

struct Params {
  rows: u32, columns: u32, heads: u32, head_dim: u32,
  m_row: u32, m_column: u32, // M's strides in elements
  x_offset: u32, x_stride: u32, y_offset: u32, y_stride: u32, // in elements, from token to token
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> m: array<f32>; // [batch, heads, queries, keys]
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let d = id.x;
  if (row >= params.rows || d >= params.head_dim) {
    return;
  }
  let batch = id.z / params.heads;
  let column = (id.z % params.heads) * params.head_dim + d;
  let at_m = id.z * params.rows * params.columns + row * params.m_row;
  let at_x = params.x_offset + batch * params.columns * params.x_stride + column;
  var sum = 0.0;
  for (var c = 0u; c < params.columns; c++) {
    sum = fma(m[at_m + c * params.m_column], x[at_x + c * params.x_stride], sum);
  }
  y[params.y_offset + (batch * params.rows + row) * params.y_stride + column] = params.scale * sum;
}
