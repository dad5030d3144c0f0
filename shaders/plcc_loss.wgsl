// loss[r] = 1 - Pearson's correlation of row r of x and its targets t: with both rows less their means and of unit length
// (lib_standing.wgsl), 1 - x·t. The lanes that share a row (lib_rows.wgsl) read it three times.
//@work 12 * rows * width operations, 8 * rows * width + 4 * rows bytes
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
    sum = fma(both.x, both.y, sum);
  }
  let r = row_sum(sum, lane);
  if (lane == 0u) {
    loss[row] = 1.0 - r;
  }
}
