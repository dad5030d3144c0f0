import deltaSource from '../../../shaders/attention_delta.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import type { AttentionShape } from './shape.ts';

/** What the gradients' results depend on besides their own shaders. */
export const deltaSources = [deltaSource];

const deltaKernel = { name: 'attention_delta', source: deltaSource };

/** delta[b, h, i] = dO_i · O_i of each head: [batch, heads, queries]. */
export function attentionDelta(
  gpu: Gpu,
  { batch, queries, heads, headDim }: AttentionShape,
  out: GpuBuffer,
  dOut: GpuBuffer,
  delta: GpuBuffer,
): void {
  gpu.run(deltaKernel, {
    buffers: [dOut, out, delta],
    params: [batch * queries, queries, heads, headDim],
    groups: foldGroups(Math.ceil((batch * queries * heads) / 64)),
  });
}
