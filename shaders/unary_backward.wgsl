// dx[i] = dy[i] · f'(x[i]), from the input x that the forward pass kept.
//
// Traffic: two reads and a write an element. The activation's of a linear layer is part of the product that makes dy, where one does
// (lib_matmul_store.wgsl). It is not part of the one that follows, dz·W: each of its column tiles would compute the exponentials again.
//@work size * (2 + 9 * (FUNCTION == 1) + 30 * (FUNCTION == 2)) operations, 12 * size bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"
//@include "lib_unary.wgsl"

const FUNCTION = 0u; // see lib_unary.wgsl

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
  dx[i] = dy[i] * unary_derivative(FUNCTION, x[i]);
}
