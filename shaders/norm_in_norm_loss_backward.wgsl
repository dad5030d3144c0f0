// Gradient of the mean of norm_in_norm_loss.wgsl by x. With g = sign(x̂ - t̂) and n = 1 / length of x less its mean:
// dx = dloss / rows / (2 sqrt(width)) · n · (g - mean(g) - x̂·(g·x̂)), since x̂ neither shifts nor grows with x. The lanes that share a
// row (lib_rows.wgsl) read it four times.
//@work 21 * rows * width operations, 12 * rows * width + 4 bytes
//@budget registers 48, shared 1

//@include "lib_rows.wgsl"
//@include "lib_standing.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let s = standing(start, lane);
  var signs = 0.0;
  var along = 0.0;
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let both = stands(i, s);
    let g = sign(both.x - both.y);
    signs += g;
    along = fma(g, both.x, along);
  }
  let width = f32(params.width);
  let mean = row_sum(signs, lane) / width;
  let product = row_sum(along, lane);
  let factor = dloss[0] / f32(params.rows) * s.factor.x / (2.0 * sqrt(width));
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let both = stands(i, s);
    dx[i] = factor * (sign(both.x - both.y) - mean - both.x * product);
  }
}
