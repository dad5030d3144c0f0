import deltaSource from '../../../shaders/attention_delta.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import type { AttentionBackward } from './shape.ts';

export { deltaSource };

const kernel = { name: 'attention_delta', source: deltaSource };

/** delta[b, h, i] = dO_i · O_i of each head, [batch, heads, queries]: what every variant of the gradients begins with. */
export function attentionDelta(
  gpu: Gpu,
  { batch, queries, heads, headDim, out, dOut }: AttentionBackward,
  delta: GpuBuffer,
): void {
  gpu.run(kernel, {
    buffers: [dOut, out, delta],
    params: [batch * queries, queries, heads, headDim],
    groups: foldGroups(Math.ceil((batch * queries * heads) / 64)),
  });
}
