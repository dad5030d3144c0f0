import type { Reporter } from '../common/reporter.ts';
import { type Gpu, type GpuOptions, openGpu } from '../kernels/device/gpu.ts';
import { withoutNativeLines } from './native-stderr.ts';
import { Progress } from './progress.ts';

/** Where commands tell what they do. */
export interface Terminal extends Reporter {
  /** A line of what went wrong without ending the command: `--quiet` does not keep it back. */
  warn(text: string): void;
}

/** Progress and lines to the terminal (stderr, so that stdout stays for results). */
export const terminal: Terminal = {
  line: (text) => Progress.line(text),
  warn: (text) => Progress.warn(text),
  bar: (label, total) => {
    const progress = new Progress();
    progress.start(total, label);
    return { advance: (items = 1) => progress.advance(items), stop: () => progress.stop() };
  },
};

/**
 * What Dawn says of each software adapter it finds: that it offers a million dynamic buffers, of which Dawn uses 16. It says so before
 * it is asked for any limits, whatever toggles are set, and it concerns nobody here.
 */
const dawnRemarks =
  /^Warning: maxDynamic(Uniform|Storage)BuffersPerPipelineLayout artificially reduced from \d+ to \d+ to fit dynamic offset allocation limit\.$/m;

/** Opens the adapter and says plainly what it is. */
export async function startGpu(reporter: Reporter, options: GpuOptions = {}): Promise<Gpu> {
  const gpu = await openGpu({
    ...options,
    requesting: (request) => withoutNativeLines(dawnRemarks, request),
  });
  const { name, driver, software, features } = gpu.adapter;
  reporter.line(
    `adapter    ${name.replace(/-+$/, '')}${software ? '  (software adapter: correct, but many times slower than a GPU)' : ''}`,
  );
  reporter.line(`driver     ${driver || 'unknown'}; ${features.join(', ') || 'no optional features'}`);
  return gpu;
}
