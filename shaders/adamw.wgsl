// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101), as torch.optim.AdamW defines it:
//   p = p - lr·decay·p;  m = b1·m + (1 - b1)·g;  v = b2·v + (1 - b2)·g²
//   p = p - lr · (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// Rate and bias corrections are data (settings), so that a captured step can be replayed. 1 - b comes from the host: in
// float32 1 - 0.999 would be off by 1e-5. In place; traffic: four reads and three writes an element.
//@work 15 * size operations, 28 * size + 12 bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params {
  size: u32,
  beta1: f32,
  beta2: f32,
  complement1: f32, // 1 - b1
  complement2: f32,
  eps: f32,
  decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> settings: array<f32>; // learning rate, 1 - b1^t, 1 - b2^t
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@group(0) @binding(5) var<storage, read_write> parameter: array<f32>;

fn element(i: u32) {
  let lr = settings[0];
  let g = gradient[i];
  let m = params.beta1 * first[i] + params.complement1 * g;
  let v = params.beta2 * second[i] + params.complement2 * g * g;
  first[i] = m;
  second[i] = v;
  let p = parameter[i] * (1.0 - lr * params.decay);
  parameter[i] = p - lr * (m / settings[1]) / (sqrt(v / settings[2]) + params.eps);
}
