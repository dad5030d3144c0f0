// Squared errors: out[row] = factor · sum over a row of (x - t)². The launcher cuts long lists into rows (the last may be
// shorter: `size` counts all elements) and adds their sums by a second pass; a batch's few numbers are one row.
// The lanes that share a row (lib_rows.wgsl) take every LANES-th element, in a fixed order. While a tape records, they keep the gradient
// of the mean by x on their way: 2/n · (x - t).
//@work (3 + GRADIENT) * size operations, 4 * ((2 + GRADIENT) * size + rows) bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"

const GRADIENT = 0u;

struct Params { rows: u32, width: u32, size: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
//@if GRADIENT
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
//@end

fn each_row(row: u32, lane: u32) {
  let end = min((row + 1u) * params.width, params.size);
  var sum = 0.0;
  for (var i = row * params.width + lane; i < end; i += LANES) {
    let d = x[i] - t[i];
    sum = fma(d, d, sum);
    //@if GRADIENT
    dx[i] = 2.0 / f32(params.size) * d;
    //@end
  }
  let total = row_sum(sum, lane) * params.factor;
  if (lane == 0u) {
    out[row] = total;
  }
}
