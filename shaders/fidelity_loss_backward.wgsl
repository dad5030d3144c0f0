// Gradient of the mean of fidelity_loss.wgsl by x: dx[i] = dloss / rows · 2 / (width (width - 1)) · sum over j of the derivative of the pair's loss by x_i
// (lib_fidelity.wgsl). Elements are computed each by itself; a row is read once for each of them, from the cache.
//@work 60 * rows * width * width operations, 12 * rows * width + 4 bytes
//@budget registers 64, shared 1

//@include "lib_rows.wgsl"
//@include "lib_fidelity.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  let end = start + params.width;
  let width = f32(params.width);
  let factor = 2.0 * dloss[0] / f32(params.rows) / max(width * (width - 1.0), 1.0);
  for (var i = start + lane; i < end; i += LANES) {
    var sum = 0.0;
    for (var j = start; j < end; j++) {
      if (j != i) {
        sum += pair_gradient(i, j);
      }
    }
    dx[i] = factor * sum;
  }
}
