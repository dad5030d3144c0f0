// y = x / max(|x|, eps) for each row. The lanes that share a row (lib_rows.wgsl) read it twice. |x| is taken relative to
// nothing: rows whose squares overflow float32 (|x| > 1e19) are not normalized.
//@work 3 * rows * width operations, 8 * rows * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

struct Params { rows: u32, width: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var squares = 0.0;
  for (var i = lane; i < params.width; i += LANES) {
    squares = fma(x[start + i], x[start + i], squares);
  }
  let length = sqrt(row_sum(squares, lane));
  let n = 1.0 / max(length, params.eps);
  for (var i = lane; i < params.width; i += LANES) {
    y[start + i] = x[start + i] * n;
  }
}
