// Cross-entropy with integer classes, averaged over rows: loss = 1/rows · sum_r (log sum_c exp(x[r, c]) - x[r, t_r]).
// GRADIENT 0 writes each row's term (their mean is taken by sum_columns); 1 writes
// dx[r, c] = dloss/rows · (softmax(x_r)[c] - [c = t_r]). A lane owns a row; the largest logit is taken off first.

const GRADIENT = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<u32>;
//@if GRADIENT
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
//@end
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  var largest = x[start];
  for (var c = 1u; c < params.width; c++) {
    largest = max(largest, x[start + c]);
  }
  var sum = 0.0;
  for (var c = 0u; c < params.width; c++) {
    sum += exp(x[start + c] - largest);
  }
  //@if GRADIENT
  let factor = dloss[0] / f32(params.rows);
  for (var c = 0u; c < params.width; c++) {
    let p = exp(x[start + c] - largest) / sum;
    out[start + c] = factor * (p - select(0.0, 1.0, c == t[row]));
  }
  //@end
  if (GRADIENT == 0u) {
    out[row] = log(sum) + largest - x[start + t[row]];
  }
}
