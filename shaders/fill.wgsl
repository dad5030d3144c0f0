// out[i] = value. Traffic: one write an element.
//@work 0 operations, 4 * size bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params { size: u32, value: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  out[i] = params.value;
}
