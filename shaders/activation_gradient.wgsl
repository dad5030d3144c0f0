// dx[i] = dy[i] · act'(x[i]): the gradient at an activation's input, from its input x kept by the forward pass.
//
// Traffic: two reads and a write an element. It is not fused into the product that follows in a linear layer, dx·W: each of
// its column tiles would compute the exponentials again.

//@include "lib_elementwise.wgsl"
//@include "lib_activation.wgsl"

const ACTIVATION = 0u; // see lib_activation.wgsl

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
  dx[i] = dy[i] * activate_slope(ACTIVATION, x[i]);
}
