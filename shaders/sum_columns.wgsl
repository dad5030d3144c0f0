// out[row] = factor · sum over columns of f(x[row, c]), f the identity or the square. A lane owns a row and adds it up
// in four interleaved sums, which also keeps the rounding error of long rows small.

const SQUARE = 0u;

struct Params {
  rows: u32,
  width: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn term(i: u32) -> f32 {
  let value = x[i];
  return select(value, value * value, SQUARE == 1u);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 32u + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  var sums = vec4f();
  let whole = params.width / 4u * 4u;
  for (var i = 0u; i < whole; i += 4u) {
    sums += vec4f(term(start + i), term(start + i + 1u), term(start + i + 2u), term(start + i + 3u));
  }
  for (var i = whole; i < params.width; i++) {
    sums.x += term(start + i);
  }
  out[row] = (sums.x + sums.y + sums.z + sums.w) * params.factor;
}
