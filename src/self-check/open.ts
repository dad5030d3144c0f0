import type { Gpu } from '../kernels/device/gpu.ts';
import { type AdapterOptions, openGpu as open } from '../kernels/node/open-gpu.ts';
import { checkAdapter, type SelfCheckChoice, selfCheckLines } from './index.ts';

/** How {@link openGpu} opens the adapter. */
export interface OpenOptions extends AdapterOptions {
  /**
   * When to check that the adapter computes rightly what the engine relies on: `auto`, once for each adapter, driver and version of
   * the kernels; `always`; or `never`. By default the environment variable CLIP_AGIQA_SELF_CHECK, else `auto`.
   */
  readonly selfCheck?: SelfCheckChoice;
}

/**
 * Opens the machine's adapter, and checks it where that has not been done before: what is wrong is left out and named by
 * console.warn(), and `gpu.adapter.masked` lists it.
 *
 * @throws UserError with advice where there is no adapter, or it computes wrongly what nothing stands in for
 */
export async function openGpu(options: OpenOptions = {}): Promise<Gpu> {
  const gpu = await open(options);
  const check = await checkAdapter(gpu, { choice: options.selfCheck }).catch((error: unknown) => {
    gpu.close();
    throw error;
  });
  for (const line of selfCheckLines(check)) if (check.gpu.adapter.masked) console.warn(line);
  return check.gpu;
}
