// out[i] = x[i] · min(1, limit / (norm + 1e-6)), norm the root of squares[0]: the factor of torch.nn.utils.clip_grad_norm_,
// with the small number that keeps a vanishing norm harmless. A lane takes PER_LANE elements, 64 apart. Traffic: a read
// and a write an element.

const PER_LANE = 8u;

struct Params {
  size: u32,
  limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>; // the sum of all gradients' squares
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let factor = min(1.0, params.limit / (sqrt(squares[0]) + 1e-6));
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let i = start + j * 64u;
    if (i < params.size) {
      out[i] = x[i] * factor;
    }
  }
}
