// Gradient of a row's softmax by its input, from the output alone: dx = y ∘ (dy - sum(dy ∘ y)).
// LOG: of log-softmax, dx = dy - exp(y) · sum(dy).
//
// The lanes that share ROWS_PER_TURN rows (lib_rows.wgsl) read them twice, VEC_SIZE elements at once (lib_vectors.wgsl):
// row by row for the sums, with a mask at the rows' ends, and in one sweep for the output, as in softmax.wgsl.
//@work 4 * rows * width operations, 12 * rows * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const LOG = 0u;

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<Vec>;
@group(0) @binding(2) var<storage, read> dy: array<Vec>;
@group(0) @binding(3) var<storage, read_write> dx: array<Vec>;

fn each_row(first: u32, lane: u32) {
  let width = params.width;
  let base = first * width / VEC_SIZE;
  //@for r in 0..ROWS_PER_TURN
  let begin_$r = $ru * width;
  var sums_$r = Vec();
  for (var i = begin_$r / VEC_SIZE + lane; i * VEC_SIZE < begin_$r + width; i += LANES) {
    let own = (columns_of(i) >= Columns(begin_$r)) & (columns_of(i) < Columns(begin_$r + width));
    //@if LOG
    sums_$r += select(Vec(), dy[base + i], own);
    //@else
    sums_$r += select(Vec(), dy[base + i] * y[base + i], own);
    //@end
  }
  let total_$r = row_sum(sum_of(sums_$r), lane);
  //@end
  for (var i = lane; i < ROWS_PER_TURN * width / VEC_SIZE; i += LANES) {
    var total = Vec(total_0);
    //@for r in 1..ROWS_PER_TURN
    total = select(total, Vec(total_$r), columns_of(i) >= Columns(begin_$r));
    //@end
    //@if LOG
    dx[base + i] = dy[base + i] - exp(y[base + i]) * total;
    //@else
    dx[base + i] = y[base + i] * (dy[base + i] - total);
    //@end
  }
}
