// y = x / sqrt(mean(x²) + eps) · gamma for each row (Zhang and Sennrich, arXiv:1910.07467). The lanes that share a row
// (lib_rows.wgsl) read it twice.
//@work 4 * rows * width operations, (8 * rows + 4) * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var squares = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    squares = fma(x[start + i], x[start + i], squares);
  }
  let r = 1.0 / sqrt(row_sum(squares, lane) / f32(params.width) + params.eps);
  for (var i = lane; i < params.width; i += LANES) {
    y[start + i] = x[start + i] * r * gamma[i];
  }
}
