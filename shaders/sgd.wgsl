// One step of SGD with momentum and weight decay, as torch.optim.SGD defines it, of COUNT parameters:
//   d = g + decay·p;  v = momentum·v + d;  p = p - lr·v
// With NESTEROV the parameter moves by d + momentum·v in place of v. v starts at 0, so that the first step gives v = d.
// The rate is data (settings[0]), so that a captured step can be replayed with another one. In place; traffic: three
// reads and two writes an element.
//@work (6 + 2 * NESTEROV) * size operations, 20 * size + 4 bytes
//@budget registers 24, shared 0

//@include "lib_tensors.wgsl"

const NESTEROV = 0u;

struct Params {
  size: u32, // of all
  momentum: f32,
  decay: f32,
  //@for t in 0..COUNT
  size_$t: u32,
  first_$t: u32, // its first workgroup
  //@end
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> settings: array<f32>; // learning rate
//@for t in 0..COUNT
@group(0) @binding(1$t) var<storage, read> gradient_$t: array<f32>;
@group(0) @binding(2$t) var<storage, read_write> velocity_$t: array<f32>;
@group(0) @binding(3$t) var<storage, read_write> parameter_$t: array<f32>;
//@end

//@for t in 0..COUNT
fn element_$t(i: u32) {
  let p = parameter_$t[i];
  let d = gradient_$t[i] + params.decay * p;
  let v = params.momentum * velocity_$t[i] + d;
  velocity_$t[i] = v;
  parameter_$t[i] = p - settings[0] * select(v, d + params.momentum * v, NESTEROV == 1u);
}
//@end
