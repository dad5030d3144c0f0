// Gradient of the mean squared error: dx[i] = dloss · 2/n · (x[i] - t[i]).
//@work 2 * size operations, 12 * size + 4 bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
  dx[i] = dloss[0] * 2.0 / f32(params.size) * (x[i] - t[i]);
}
