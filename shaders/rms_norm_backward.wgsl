// Gradients of rms_norm.wgsl. With r = 1/sqrt(mean(x²) + eps) and g = dy·gamma: dx = r·(g - x·r²·mean(g·x)), and gamma's is the sum
// over rows of terms = dy·x·r. The lanes that share a row (lib_rows.wgsl) read it twice.
//@work 10 * rows * width operations, (16 * rows + 4) * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> terms: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var squares = 0.0;
  var products = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    squares = fma(x[start + i], x[start + i], squares);
    products = fma(x[start + i], dy[start + i] * gamma[i], products);
  }
  let r = 1.0 / sqrt(row_sum(squares, lane) / f32(params.width) + params.eps);
  let along = row_sum(products, lane) / f32(params.width) * r * r;
  for (var i = lane; i < params.width; i += LANES) {
    dx[start + i] = r * (dy[start + i] * gamma[i] - x[start + i] * along);
    terms[start + i] = dy[start + i] * x[start + i] * r;
  }
}
