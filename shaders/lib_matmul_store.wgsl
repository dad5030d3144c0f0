// The end that every matrix product has: bias, activation and residual as an element is stored; or the derivative of an activation, which
// makes of the gradient of its output that of its input.
//
// The kernel declares `params` with m and n. Whatever does not take part has no binding and costs nothing.

//@include "lib_unary.wgsl"

const BIAS = 0u;
const RESIDUAL = 0u;
const PREACTIVATION = 0u;
const ACTIVATION = 0u; // see lib_unary.wgsl
const DERIVATIVE = 0u; // likewise

//@if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
//@end
//@if RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<f32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
//@if PREACTIVATION
@group(0) @binding(6) var<storage, read_write> preactivation: array<f32>;
//@end
//@if DERIVATIVE
@group(0) @binding(7) var<storage, read> derivative_at: array<f32>;
//@end

// out[row, column] of one batch entry; positions beyond the matrix are not written.
fn store(batch: u32, row: u32, column: u32, sum: f32) {
  if (row >= params.m || column >= params.n) {
    return;
  }
  let at = (batch * params.m + row) * params.n + column;
  var value = sum;
  //@if BIAS
  value += bias[column];
  //@end
  //@if PREACTIVATION
  preactivation[at] = value;
  //@end
  value = unary(ACTIVATION, value);
  // The sums are the gradient by an activation's output then, and what is stored that by its input: the same operations as in
  // unary_backward.wgsl, and so the same bits.
  //@if DERIVATIVE
  value *= unary_derivative(DERIVATIVE, derivative_at[at]);
  //@end
  //@if RESIDUAL
  value += residual[at];
  //@end
  out[at] = value;
}
