// loss[r] = mean over all pairs of a row of the fidelity loss of x, ordered as the targets t are (lib_fidelity.wgsl). The lanes that share a row
// (lib_rows.wgsl) take every LANES-th first of a pair; a row is read once for each of its elements, from the cache.
//@work 30 * rows * width * width operations, 8 * rows * width + 4 * rows bytes
//@budget registers 64, shared 1

//@include "lib_rows.wgsl"
//@include "lib_fidelity.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let end = start + params.width;
  var sum = 0.0;
  for (var i = start + lane; i < end; i += LANES) {
    for (var j = i + 1u; j < end; j++) {
      sum += pair_loss(i, j);
    }
  }
  let width = f32(params.width);
  let total = row_sum(sum, lane);
  if (lane == 0u) {
    loss[row] = 2.0 * total / max(width * (width - 1.0), 1.0);
  }
}
