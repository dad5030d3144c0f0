// out[i] = x[i] / (1 - p) where element i is kept, else 0; each is dropped with probability p. The gradient is the same
// kernel on dy: the mask is drawn again from its counter, never stored.
//
// A lane draws four words (lib_dropout.wgsl) and serves the four elements 4i … 4i + 3.
//@work size operations, 8 * size + 8 bytes
//@budget registers 64, shared 0

//@include "lib_dropout.wgsl"

struct Params {
  size: u32,
  stream: u32,
  threshold: u32, // p · 2^32: a word below it drops
  factor: f32, // 1 / (1 - p)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>; // seed, step
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quad = (group.y * groups.x + group.x) * 64u + lane;
  let words = words_of(quad);
  for (var j = 0u; j < 4u; j++) {
    let i = quad * 4u + j;
    if (i < params.size) {
      out[i] = select(x[i] * params.factor, 0.0, words[j] < params.threshold);
    }
  }
}
