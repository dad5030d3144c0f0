// Gradient of layer norm by its input. With x̂ = (x - mean)·rstd and g = dy·gamma:
//   dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)), plus the gradient that reached x by another way (RESIDUAL).
//
// The lanes that share a row (lib_rows.wgsl) read x, dy and gamma twice, VEC_SIZE elements at once (lib_vectors.wgsl): once for
// the two means and once for the output, for ROWS_PER_TURN rows together. A residual branch's sum costs a read here instead of a
// launch, two reads and a write.
//@work (9 + 2 * AFFINE + RESIDUAL) * rows * width operations
//@work 4 * ((3 + RESIDUAL) * rows * width + width * AFFINE + 2 * rows) bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const AFFINE = 1u;
const RESIDUAL = 0u;

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vec>;
@group(0) @binding(2) var<storage, read> stats: array<vec2f>; // mean and rstd of each row
@group(0) @binding(3) var<storage, read> dy: array<Vec>;
//@if AFFINE
@group(0) @binding(4) var<storage, read> gamma: array<Vec>;
//@end
//@if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<Vec>;
//@end
@group(0) @binding(6) var<storage, read_write> dx: array<Vec>;

fn gamma_at(i: u32) -> Vec {
  var g = Vec(1.0);
  //@if AFFINE
  g = gamma[i];
  //@end
  return g;
}

fn each_row(first: u32, lane: u32) {
  let count = params.width / VEC_SIZE;
  let width = f32(params.width);
  var start: array<u32, ROWS_PER_TURN>;
  var mean: array<f32, ROWS_PER_TURN>;
  var rstd: array<f32, ROWS_PER_TURN>;
  for (var r = 0u; r < ROWS_PER_TURN; r++) {
    let row = min(first + r, params.rows - 1u); // beyond the end the last row again
    start[r] = row * count;
    mean[r] = stats[row].x;
    rstd[r] = stats[row].y;
  }
  var sum_g: array<Vec, ROWS_PER_TURN>;
  var sum_gx: array<Vec, ROWS_PER_TURN>;
  for (var i = lane; i < count; i += LANES) {
    let weight = gamma_at(i);
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      let g = dy[start[r] + i] * weight;
      sum_g[r] += g;
      sum_gx[r] = fma(g, x[start[r] + i] - mean[r], sum_gx[r]);
    }
  }
  var mean_g: array<f32, ROWS_PER_TURN>;
  var along: array<f32, ROWS_PER_TURN>;
  for (var r = 0u; r < ROWS_PER_TURN; r++) {
    mean_g[r] = row_sum(sum_of(sum_g[r]), lane) / width;
    along[r] = row_sum(sum_of(sum_gx[r]), lane) / width * rstd[r] * rstd[r];
  }
  for (var i = lane; i < count; i += LANES) {
    let weight = gamma_at(i);
    for (var r = 0u; r < ROWS_PER_TURN; r++) {
      let at = start[r] + i;
      var value = rstd[r] * (dy[at] * weight - mean_g[r] - (x[at] - mean[r]) * along[r]);
      //@if RESIDUAL
      value += residual[at];
      //@end
      dx[at] = value;
    }
  }
}
