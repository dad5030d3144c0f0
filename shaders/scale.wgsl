// out[i] = factor · x[i]. Traffic: a read and a write an element.
//@work size operations, 8 * size bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params { size: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  out[i] = params.factor * x[i];
}
