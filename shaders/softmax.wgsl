// Softmax of each row: y = exp(x - max) / sum exp(x - max). LOG writes its natural logarithm instead.
//
// The lanes that share ROWS_PER_TURN rows (lib_rows.wgsl) read them twice, VEC_SIZE elements at once (lib_vectors.wgsl). The
// first read, row by row, keeps the largest value so far and the sum relative to it (Milakov and Gimelshein, arXiv 1805.02867),
// so that correcting the sum to a new largest value costs a quarter of an exponential an element; the second, all rows in one
// sweep, writes. Traffic: one read from memory, one write.
//
// A row whose length is no multiple of 4 begins and ends within a vec4; four such rows together do not, hence four a turn.
// Of the vec4s at a row's ends the first read masks what belongs to a neighbor, and in the second each element takes the
// maximum and the sum of its own row, so that every vec4 is written once and by one lane.
//@work 9 * rows * width operations, 8 * rows * width bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const LOG = 0u;
const LOG2_E = 1.4426950408889634;
const LOWEST = -1e38; // less than any element; finite after the change of base too, since shaders may take infinities for impossible

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Vec>;
@group(0) @binding(2) var<storage, read_write> y: array<Vec>;

fn each_row(first: u32, lane: u32) {
  let width = params.width;
  let base = first * width / VEC_SIZE;
  //@for r in 0..ROWS_PER_TURN
  let begin_$r = $ru * width;
  var largest_$r = LOWEST;
  var sum_$r = 0.0;
  for (var i = begin_$r / VEC_SIZE + lane; i * VEC_SIZE < begin_$r + width; i += LANES) {
    let own = (columns_of(i) >= Columns(begin_$r)) & (columns_of(i) < Columns(begin_$r + width));
    let values = select(Vec(LOWEST), x[base + i], own);
    let m = max(largest_$r, max_of(values));
    sum_$r = sum_$r * exp2((largest_$r - m) * LOG2_E) + sum_of(exp2((values - m) * LOG2_E));
    largest_$r = m;
  }
  let m_$r = row_max(largest_$r, lane);
  let s_$r = row_sum(sum_$r * exp2((largest_$r - m_$r) * LOG2_E), lane);
  // The logarithm of the sum, or its inverse. It is not added to m, which may be large: its digits would be lost.
  let total_$r = select(1.0 / s_$r, log(s_$r), LOG == 1u);
  //@end
  for (var i = lane; i < ROWS_PER_TURN * width / VEC_SIZE; i += LANES) {
    var m = Vec(m_0);
    var total = Vec(total_0);
    //@for r in 1..ROWS_PER_TURN
    m = select(m, Vec(m_$r), columns_of(i) >= Columns(begin_$r));
    total = select(total, Vec(total_$r), columns_of(i) >= Columns(begin_$r));
    //@end
    let below = x[base + i] - m;
    y[base + i] = select(exp2(below * LOG2_E) * total, below - total, LOG == 1u);
  }
}
