// Cross-entropy with integer classes: of each row loss[r] = log sum_c exp(x[r, c]) - x[r, t_r]; their mean is taken afterwards.
// The lanes that share a row (lib_rows.wgsl) read it twice.
//@work 4 * rows * width operations, 4 * rows * (width + 2) bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_log_sum_exp.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> t: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let total = log_sum_exp(start, lane);
  if (lane == 0u) {
    loss[row] = log(total.y) + total.x - x[start + t[row]];
  }
}
