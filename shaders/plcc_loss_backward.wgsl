// Gradient of the mean of plcc_loss.wgsl by x. With x̂ and t̂ the rows less their means and of unit length, r = x̂·t̂ and n = 1 / length of x less its
// mean: dx = -dloss / rows · n · (t̂ - r·x̂), the part of t̂ across x̂. The lanes that share a row (lib_rows.wgsl) read it four times.
//@work 18 * rows * width operations, 12 * rows * width + 4 bytes
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
  var sum = 0.0;
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let both = stands(i, s);
    sum = fma(both.x, both.y, sum);
  }
  let r = row_sum(sum, lane);
  let factor = -dloss[0] / f32(params.rows) * s.factor.x;
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let both = stands(i, s);
    dx[i] = factor * (both.y - r * both.x);
  }
}
