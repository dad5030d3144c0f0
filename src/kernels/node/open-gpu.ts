import { type AdapterSource, type DeviceOptions, type OpenedDevice, openAdapter } from '../device/adapter.ts';
import { type Gpu, openGpuOf } from '../device/gpu.ts';
import { adapterAskedFor, adapterName } from './adapter-choice.ts';
import { fileStore } from './file-store.ts';

/** How the adapter is opened; see {@link openGpu}. */
export interface AdapterOptions extends DeviceOptions {
  /** Dawn's backend, for instance 'null' (accepts every command and computes nothing: isolates host cost). */
  readonly backend?: string;
  /**
   * Which adapter, where there are several: its name, part of it, or its number in the order in which Dawn lists them. By default
   * the environment variable CLIP_AGIQA_ADAPTER, else the fastest as Dawn sees it.
   */
  readonly adapter?: string;
  /** Dawn toggles to enable or disable besides the default ones. */
  readonly enableToggles?: readonly string[];
  readonly disableToggles?: readonly string[];
  /** Leaves out Dawn's bounds checks and zero-initialization of workgroup memory, which kernels here don't rely on. Default true. */
  readonly fast?: boolean;
  /** Called to look for adapters: `request` does it, and Dawn may write to stderr meanwhile. */
  readonly requesting?: (request: () => Promise<GPUAdapter | null>) => Promise<GPUAdapter | null>;
}

/** The toggles a run uses, in Dawn's `enable-dawn-features` words. */
export function dawnFlags(options: AdapterOptions): string[] {
  const enable = [...(options.enableToggles ?? [])];
  // Dawn keeps halves from NVIDIA's Vulkan drivers, which fail a part of its conformance tests: only for who asks for them.
  if (options.features?.includes('shader-f16')) enable.push('vulkan_enable_f16_on_nvidia');
  if (options.fast ?? true) enable.push('disable_robustness', 'disable_workgroup_init');
  const disable = ['timestamp_quantization', ...(options.disableToggles ?? [])];
  const flags = [`disable-dawn-features=${disable.join(',')}`];
  if (enable.length > 0) flags.push(`enable-dawn-features=${enable.join(',')}`);
  if (options.backend) flags.push(`backend=${options.backend}`);
  return flags;
}

/** Dawn. */
async function createInstance(options: AdapterOptions): Promise<GPU> {
  // Mesa warns when this is unset, and writes nothing there.
  if (process.platform === 'linux') process.env.XDG_RUNTIME_DIR ??= '/tmp';
  const dawn = await import('webgpu');
  Object.assign(globalThis, dawn.globals);
  const flags = dawnFlags(options);
  // Commands that compute nothing need no adapter.
  const asked = options.backend === 'null' ? undefined : adapterAskedFor(options.adapter);
  if (asked === undefined) return dawn.create(flags);
  const listing = async (name: string) => {
    const instance = dawn.create([...flags, `adapter=${name}`]);
    return requestAdapter(instance, options);
  };
  return dawn.create([...flags, `adapter=${await adapterName(asked, listing)}`]);
}

async function requestAdapter(instance: GPU, options: AdapterOptions): Promise<GPUAdapter | null> {
  const request = () => instance.requestAdapter({ powerPreference: 'high-performance' });
  return options.requesting?.(request) ?? request();
}

/** Opens a device of Dawn's with everything the kernels can use, at the adapter's own limits. */
export async function openDevice(options: AdapterOptions = {}): Promise<OpenedDevice> {
  const gpu = await createInstance(options);
  const source: AdapterSource = {
    gpu,
    request: () => requestAdapter(gpu, options),
    advice:
      'Run `npx clip-agiqa-webgpu setup` (in a clone: `npm run setup`): it installs a software Vulkan driver on Debian and Ubuntu, and tells you what to install on other systems.',
    immediate: true,
    // What computes nothing has no times that another run should read.
    store: options.backend === 'null' ? null : fileStore,
  };
  return openAdapter(source, options);
}

/** Opens the machine's adapter; throws a {@link UserError} with advice where there is none. */
export async function openGpu(options: AdapterOptions = {}): Promise<Gpu> {
  return openGpuOf(() => openDevice(options));
}
