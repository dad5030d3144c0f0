// Gradient of the mean of graded_response.wgsl by the logits. Only the two next to the grade have one: with w = 1 / (e^(a - b) - 1), or 0 where there
// is only one of them, da = dloss / rows · (-σ(-a) - w) and db = dloss / rows · (σ(b) + w). The lanes that share a row (lib_rows.wgsl) write the rest as zeros.
//@work 10 * rows * width operations, 8 * rows * width + 4 * rows + 4 bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_graded_response.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn each_row(row: u32, lane: u32) {
  let grade = t[row];
  let start = row * params.width;
  var w = 0.0;
  if (grade > 0u && grade < params.width) {
    let gap = x[start + grade - 1u] - x[start + grade];
    w = exp(-gap) / one_less_exp(gap);
  }
  let factor = dloss[0] / f32(params.rows);
  for (var k = lane; k < params.width; k += LANES) {
    var d = 0.0;
    if (k + 1u == grade) {
      d = -sigmoid(-x[start + k]) - w;
    }
    if (k == grade) {
      d = sigmoid(x[start + k]) + w;
    }
    dx[start + k] = factor * d;
  }
}
