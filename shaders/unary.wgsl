// y[i] = f(x[i]). Traffic: a read and a write an element.
//@work size * (1 + 5 * (FUNCTION == 1) + 25 * (FUNCTION == 2)) operations, 8 * size bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"
//@include "lib_unary.wgsl"

const FUNCTION = 0u; // see lib_unary.wgsl

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
  y[i] = unary(FUNCTION, x[i]);
}
