// Gradient of the mean squared error: dx[i] = dloss · 2/n · (x[i] - t[i]).

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.size) {
    dx[id.x] = dloss[0] * 2.0 / f32(params.size) * (x[id.x] - t[id.x]);
  }
}
