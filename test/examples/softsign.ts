import { apply, elementGroups, type Gpu, type Op, Tensor } from '../../src/index.ts';

// y = x / (1 + |x|), and, since its derivative is 1 / (1 + |x|)², dx = dy / (1 + |x|)².
const source = /* wgsl */ `
//@include "lib_elementwise.wgsl"

const GRADIENT = 0u;

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
//@if GRADIENT
@group(0) @binding(2) var<storage, read> dy: array<f32>;
//@end
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  let n = 1.0 / (1.0 + abs(x[i]));
  //@if GRADIENT
  out[i] = dy[i] * n * n;
  //@else
  out[i] = x[i] * n;
  //@end
}`;
const kernel = { name: 'softsign', source };

/** The launcher: which buffers, which sizes, how many workgroups. It only records. */
function launch(gpu: Gpu, x: Tensor, dy: Tensor | null): Tensor {
  const out = Tensor.empty(gpu, x.shape);
  gpu.run(kernel, {
    constants: { GRADIENT: Number(dy !== null) },
    buffers: [x.buffer, ...(dy ? [dy.buffer] : []), out.buffer],
    params: [x.size],
    groups: elementGroups(x.size),
  });
  return out;
}

/** The op: forward and gradient side by side. */
const softsignOp: Op<{ inputs: [x: Tensor]; saved: { x: Tensor } }> = {
  name: 'softsign',
  forward([x], { save }) {
    save({ x });
    return launch(x.gpu, x, null);
  },
  gradient: (dy, { saved: { x } }) => [launch(dy.gpu, x, dy)],
};

/** x / (1 + |x|) */
export function softsign(x: Tensor): Tensor {
  return apply(softsignOp, [x]);
}
