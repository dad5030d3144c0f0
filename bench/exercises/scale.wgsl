// y[i] = factor · x[i]: one line of WGSL. What is missing is that line.
//
// Each invocation of main has a number of its own, id.x. 64 of them make a workgroup; the line below says how many workgroups
// are launched, in terms of params. That is rounded up, so some invocations have no element: they must not write.
//@groups size / 64

struct Params { size: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.size) {
    return;
  }
  // Your line.
}
