// The gradient of attention's softmax: dS = P ∘ (dP - rowsum(dP ∘ P)) · factor, written over dP. Where a key was not
// visible P is 0, and so is dS: the mask needs no second look. A lane owns a row.

struct Params {
  total: u32,
  columns: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> probabilities: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.total) {
    return;
  }
  let start = row * params.columns;
  var sum = 0.0;
  for (var j = 0u; j < params.columns; j++) {
    sum = fma(gradient[start + j], probabilities[start + j], sum);
  }
  for (var j = 0u; j < params.columns; j++) {
    gradient[start + j] = probabilities[start + j] * (gradient[start + j] - sum) * params.factor;
  }
}
