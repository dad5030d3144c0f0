// y = exp(x - max) / sum exp(x - max) of each row: by its definition, a row to an invocation, in three passes over it.
//@groups rows / 8

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.rows) {
    return;
  }
  let start = id.x * params.width;
  var largest = x[start];
  for (var i = 1u; i < params.width; i++) {
    largest = max(largest, x[start + i]);
  }
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += exp(x[start + i] - largest);
  }
  for (var i = 0u; i < params.width; i++) {
    y[start + i] = exp(x[start + i] - largest) / sum;
  }
}
