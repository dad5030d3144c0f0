import type { Reporter } from '../common/reporter.ts';
import { type Gpu, type GpuOptions, openGpu } from '../kernels/device/gpu.ts';
import { Progress } from './progress.ts';

/** Progress and lines to the terminal (stderr, so that stdout stays for results). */
export const terminal: Reporter = {
  line: (text) => Progress.line(text),
  bar: (label, total) => {
    const progress = new Progress();
    progress.start(total, label);
    return { advance: (items = 1) => progress.advance(items), stop: () => progress.stop() };
  },
};

/** Opens the adapter and says plainly what it is. */
export async function startGpu(reporter: Reporter, options: GpuOptions = {}): Promise<Gpu> {
  const gpu = await openGpu(options);
  const { name, driver, software, features } = gpu.adapter;
  reporter.line(
    `adapter    ${name}${software ? '  (software adapter: correct, but many times slower than a GPU)' : ''}`,
  );
  reporter.line(`driver     ${driver || 'unknown'}; ${features.join(', ') || 'no optional features'}`);
  return gpu;
}
