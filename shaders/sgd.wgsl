// One step of SGD with momentum and weight decay, as torch.optim.SGD defines it:
//   d = g + decay·p;  v = momentum·v + d;  p = p - lr·v
// With NESTEROV the parameter moves by d + momentum·v in place of v. v starts at 0, so that the first step gives v = d.
// The rate is data (settings[0]), so that a captured step can be replayed with another one. In place; traffic: three
// reads and two writes an element.
//@work (6 + 2 * NESTEROV) * size operations, 20 * size + 4 bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

const NESTEROV = 0u;

struct Params {
  size: u32,
  momentum: f32,
  decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> settings: array<f32>; // learning rate
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameter: array<f32>;

fn element(i: u32) {
  let p = parameter[i];
  let d = gradient[i] + params.decay * p;
  let v = params.momentum * velocity[i] + d;
  velocity[i] = v;
  parameter[i] = p - settings[0] * select(v, d + params.momentum * v, NESTEROV == 1u);
}
