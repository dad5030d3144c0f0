// Softmax of each row by its definition, a row to a lane: y = exp(x - max) / sum exp(x - max), in three passes. The largest
// element is taken off so that no exponential overflows. LOG writes the natural logarithm instead. What softmax.wgsl is held to.
//@work 7 * rows * width operations, 8 * rows * width bytes
//@budget registers 24, shared 0

//@include "lib_rows.wgsl"

const LOG = 0u;

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each_row(row: u32, lane: u32) {
  let start = row * params.width;
  var largest = x[start];
  for (var i = 1u; i < params.width; i++) {
    largest = max(largest, x[start + i]);
  }
  var sum = 0.0;
  for (var i = 0u; i < params.width; i++) {
    sum += exp(x[start + i] - largest);
  }
  for (var i = 0u; i < params.width; i++) {
    let below = x[start + i] - largest;
    y[start + i] = select(exp(below) / sum, below - log(sum), LOG == 1u);
  }
}
