// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101), as torch.optim.AdamW defines it, of COUNT parameters:
//   p = p - lr·decay·p;  m = b1·m + (1 - b1)·g;  v = b2·v + (1 - b2)·g²
//   p = p - lr · (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// Rate and bias corrections are data (settings), so that a captured step can be replayed. 1 - b comes from the host: in
// float32 1 - 0.999 would be off by 1e-5. In place; traffic: four reads and three writes an element.
//@work 15 * size operations, 28 * size + 12 bytes
//@budget registers 24, shared 0

//@include "lib_tensors.wgsl"

struct Params {
  size: u32, // of all
  beta1: f32,
  beta2: f32,
  complement1: f32, // 1 - b1
  complement2: f32,
  eps: f32,
  decay: f32,
  //@for t in 0..COUNT
  size_$t: u32,
  first_$t: u32, // its first workgroup
  //@end
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> settings: array<f32>; // learning rate, 1 - b1^t, 1 - b2^t
//@for t in 0..COUNT
@group(0) @binding(1$t) var<storage, read> gradient_$t: array<f32>;
@group(0) @binding(2$t) var<storage, read_write> first_moment_$t: array<f32>;
@group(0) @binding(3$t) var<storage, read_write> second_moment_$t: array<f32>;
@group(0) @binding(4$t) var<storage, read_write> parameter_$t: array<f32>;
//@end

//@for t in 0..COUNT
fn element_$t(i: u32) {
  let lr = settings[0];
  let g = gradient_$t[i];
  let m = params.beta1 * first_moment_$t[i] + params.complement1 * g;
  let v = params.beta2 * second_moment_$t[i] + params.complement2 * g * g;
  first_moment_$t[i] = m;
  second_moment_$t[i] = v;
  let p = parameter_$t[i] * (1.0 - lr * params.decay);
  parameter_$t[i] = p - lr * (m / settings[1]) / (sqrt(v / settings[2]) + params.eps);
}
//@end
