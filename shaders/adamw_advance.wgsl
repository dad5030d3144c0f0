// Counts a step of AdamW on the GPU, so that a captured step can be replayed without a write from the host. What the
// update needs of the step number t are the bias corrections c = 1 - b^t, and those follow from the step before:
//   1 - b^t = c + (1 - b)·(1 - c)
// All terms are positive, so the relative error stays at a few roundings, where 1 - pow(b, t) would lose four digits of a
// first step at b = 0.999.
//@work 6 operations, 16 bytes
//@budget registers 24, shared 0

struct Params {
  complement1: f32, // 1 - b1
  complement2: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> settings: array<f32>; // learning rate, 1 - b1^t, 1 - b2^t

@compute @workgroup_size(1)
fn main() {
  settings[1] += params.complement1 * (1.0 - settings[1]);
  settings[2] += params.complement2 * (1.0 - settings[2]);
}
