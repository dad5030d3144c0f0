// Norm-in-norm loss (Li, Jiang and Jiang, ACM MM 2020, arXiv 2008.03889) with q = 2 and p = 1: with rows of x and t less their means
// and of unit length (lib_standing.wgsl), loss[r] = sum |x̂ - t̂| / (2 sqrt(width)), from 0 to 1. The lanes that share a row
// (lib_rows.wgsl) read it three times.
//@work 13 * rows * width operations, 8 * rows * width + 4 * rows bytes
//@budget registers 48, shared 1

//@include "lib_rows.wgsl"
//@include "lib_standing.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let s = standing(start, lane);
  var sum = 0.0;
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let both = stands(i, s);
    sum += abs(both.x - both.y);
  }
  let total = row_sum(sum, lane);
  if (lane == 0u) {
    loss[row] = total / (2.0 * sqrt(f32(params.width)));
  }
}
