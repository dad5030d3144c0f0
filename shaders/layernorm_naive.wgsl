// Layer norm (Ba et al., arXiv 1607.06450) by its definition, a row to a lane: with the row's mean and variance, each from a pass
// of its own, and rstd = 1 / sqrt(variance + eps), y = (x - mean) · rstd · gamma + beta. What layernorm.wgsl is held to.
//@work (6 + 2 * AFFINE) * rows * width operations, 8 * (rows * width + width * AFFINE + rows * STATS) bytes
//@budget registers 24, shared 0

//@include "lib_rows.wgsl"

struct Params { rows: u32, width: u32, eps: f32 }

const AFFINE = 1u; // with gamma and beta
const STATS = 0u; // keep mean and rstd

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
//@if AFFINE
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
//@end
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
//@if STATS
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>; // mean and rstd of each row
//@end

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += x[start + i];
  }
  let mean = sum / f32(params.width);
  var squares = 0.0;
  for (var i = 0u; i < params.width; i++) {
    squares += (x[start + i] - mean) * (x[start + i] - mean);
  }
  let rstd = 1.0 / sqrt(squares / f32(params.width) + params.eps);
  for (var i = 0u; i < params.width; i++) {
    y[start + i] = (x[start + i] - mean) * rstd;
    //@if AFFINE
    y[start + i] = y[start + i] * gamma[i] + beta[i];
    //@end
  }
  //@if STATS
  stats[row] = vec2f(mean, rstd);
  //@end
}
