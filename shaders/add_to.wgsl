// sum[i] += x[i]: what gathers over many steps, in place, so that no copy parts a step's dispatches. Traffic: two reads and a write
// an element.
//@work size operations, 12 * size bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

fn element(i: u32) {
  sum[i] += x[i];
}
