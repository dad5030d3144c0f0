// y = x / |x| for each row. GRADIENT: with n = 1/|x|, dx = n·dy - n³·x·(x·dy), the part of dy across x.
// A lane owns a row.

const GRADIENT = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
//@if GRADIENT
@group(0) @binding(2) var<storage, read> dy: array<f32>;
//@end
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  var squares = 0.0;
  for (var i = 0u; i < params.width; i++) {
    squares = fma(x[start + i], x[start + i], squares);
  }
  let n = inverseSqrt(squares);
  //@if GRADIENT
  var along = 0.0;
  for (var i = 0u; i < params.width; i++) {
    along = fma(x[start + i], dy[start + i], along);
  }
  for (var i = 0u; i < params.width; i++) {
    out[start + i] = n * (dy[start + i] - x[start + i] * (n * n * along));
  }
  //@end
  if (GRADIENT == 0u) {
    for (var i = 0u; i < params.width; i++) {
      out[start + i] = x[start + i] * n;
    }
  }
}
