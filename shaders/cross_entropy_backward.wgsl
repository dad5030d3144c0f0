// Gradient of the mean of cross_entropy.wgsl: dx[r, c] = dloss/rows · (softmax(x_r)[c] - [c = t_r]). The lanes that share a row
// (lib_rows.wgsl) read it three times.
//@work 9 * rows * width operations, 4 * rows * (2 * width + 1) + 4 bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_log_sum_exp.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let total = log_sum_exp(start, lane);
  let factor = dloss[0] / f32(params.rows);
  for (var c = lane; c < params.width; c += LANES) {
    let p = exp(x[start + c] - total.x) / total.y;
    dx[start + c] = factor * (p - select(0.0, 1.0, c == t[row]));
  }
}
