// Gradient of l2_normalize.wgsl by its input: with n = 1/|x|, dx = n·dy - n³·x·(x·dy), the part of dy across x; a row shorter
// than eps is only scaled: dx = dy/eps. The lanes that share a row (lib_rows.wgsl) read it twice.
//@work 7 * rows * width operations, 12 * rows * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var squares = 0.0;
  var products = 0.0;
  for (var i = start + lane; i < start + params.width; i += LANES) {
    squares = fma(x[i], x[i], squares);
    products = fma(x[i], dy[i], products);
  }
  let length = sqrt(row_sum(squares, lane));
  let n = 1.0 / max(length, params.eps);
  let along = select(row_sum(products, lane) * n * n, 0.0, length < params.eps);
  for (var i = start + lane; i < start + params.width; i += LANES) {
    dx[i] = n * (dy[i] - x[i] * along);
  }
}
