// out[c] = factor · sum over rows of x[row, c], in the order of the rows. A lane owns a column: neighbouring lanes read
// neighbouring words. Traffic: one read an element.

struct Params {
  rows: u32,
  width: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= params.width) {
    return;
  }
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    sum += x[row * params.width + column];
  }
  out[column] = sum * params.factor;
}
