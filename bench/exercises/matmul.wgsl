// out = A · B, A [m, k] and B [k, n], row by row: an output to an invocation, which reads 2 numbers for each multiply-add.
//@groups n / 8, m / 8

struct Params { m: u32, n: u32, k: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let column = id.x;
  if (row >= params.m || column >= params.n) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < params.k; k++) {
    sum += a[row * params.k + k] * b[k * params.n + column];
  }
  out[row * params.n + column] = sum;
}
