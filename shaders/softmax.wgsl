// Softmax of each row: y = exp(x - max) / sum exp(x - max). LOG writes its natural logarithm instead.
//
// The lanes that share a row (see lib_rows_*.wgsl) read it twice. The first read keeps the largest value so far and the
// sum relative to it (Milakov and Gimelshein, arXiv 1805.02867), four elements a turn, so that correcting the sum to a new
// largest value costs a quarter of an exponential an element; the second writes. Traffic: one read from memory, one write.

const LOG = 0u;
const LOG2_E = 1.4426950408889634;
const LOWEST = -3.4028234e38;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn write(i: u32, below: f32, total: f32) {
  y[i] = select(exp2(below * LOG2_E) * total, below - total, LOG == 1u);
}

@compute @workgroup_size(LANES * GROUP_ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = row_of(group, groups, local);
  if (row >= params.rows) {
    return;
  }
  let lane = local % LANES;
  let start = row * params.width + lane;
  let end = (row + 1u) * params.width;
  var largest = LOWEST;
  var sum = 0.0;
  var i = start;
  for (; i + 3u * LANES < end; i += 4u * LANES) {
    //@for j in 0..4
    let x_$j = x[i + $ju * LANES];
    //@end
    let m = max(largest, max(max(x_0, x_1), max(x_2, x_3)));
    sum *= exp2((largest - m) * LOG2_E);
    //@for j in 0..4
    sum += exp2((x_$j - m) * LOG2_E);
    //@end
    largest = m;
  }
  for (; i < end; i += LANES) {
    let value = x[i];
    let m = max(largest, value);
    sum = sum * exp2((largest - m) * LOG2_E) + exp2((value - m) * LOG2_E);
    largest = m;
  }
  let m = row_max(largest, lane);
  // The logarithm of the sum, or its inverse. It is not added to m, which may be large: its digits would be lost.
  var total = row_sum(sum * exp2((largest - m) * LOG2_E), lane);
  total = select(1.0 / total, log(total), LOG == 1u);
  for (i = start; i + 3u * LANES < end; i += 4u * LANES) {
    //@for j in 0..4
    write(i + $ju * LANES, x[i + $ju * LANES] - m, total);
    //@end
  }
  for (; i < end; i += LANES) {
    write(i, x[i] - m, total);
  }
}
