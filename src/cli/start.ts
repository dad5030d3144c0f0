import type { Reporter } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { type AdapterOptions, openGpu } from '../kernels/node/open-gpu.ts';
import { checkAdapter, selfCheckLines } from '../self-check/index.ts';
import { dawnRemarks } from './dawn-remarks.ts';
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

/** Opens the adapter without Dawn's remarks. */
export const openTerminalGpu = (options: AdapterOptions = {}): Promise<Gpu> =>
  openGpu({ ...options, requesting: (request) => withoutNativeLines(dawnRemarks, request) });

/** Says plainly what computes. */
export function sayAdapter(reporter: Reporter, { adapter }: Gpu): void {
  const { name, driver, software, features } = adapter;
  reporter.line(
    `adapter    ${name.replace(/-+$/, '')}${software ? '  (software adapter: correct, but many times slower than a GPU)' : ''}`,
  );
  reporter.line(`driver     ${driver || 'unknown'}; ${features.join(', ') || 'no optional features'}`);
}

/** Opens the adapter, says what it is, and checks it where that has not been done before. */
export async function startGpu(reporter: Reporter, options: AdapterOptions = {}): Promise<Gpu> {
  const opened = await openTerminalGpu(options);
  sayAdapter(reporter, opened);
  const check = await checkAdapter(opened);
  for (const line of selfCheckLines(check)) reporter.line(line);
  return check.gpu;
}
