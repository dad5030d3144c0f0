import { UserError } from '../../common/errors.ts';
import { watchdogSeconds } from './watchdog.ts';

/** How the adapter is opened; see {@link openGpu}. */
export interface AdapterOptions {
  /** Dawn's backend, for instance 'null' (accepts every command and computes nothing: isolates host cost). Node only. */
  readonly backend?: string;
  /** Dawn toggles to enable or disable besides the default ones. Node only. */
  readonly enableToggles?: readonly string[];
  readonly disableToggles?: readonly string[];
  /** Leaves out Dawn's bounds checks and zero-initialization of workgroup memory, which kernels here don't rely on. Default true. */
  readonly fast?: boolean;
  /** Called to look for adapters: `request` does it, and Dawn may write to stderr meanwhile. Node only. */
  readonly requesting?: (request: () => Promise<GPUAdapter | null>) => Promise<GPUAdapter | null>;
  /**
   * Seconds after which the GPU is taken to hang, for work of no size; it has more for more work. 0 for no end. By default
   * the environment variable CLIP_AGIQA_WATCHDOG, else 600.
   */
  readonly watchdog?: number;
}

/** What an adapter is, for start-up lines, the tuner's file names and bench results. */
export interface AdapterDescription {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  readonly software: boolean;
  readonly subgroupMin: number;
  readonly subgroupMax: number;
  readonly features: readonly string[];
  /** Whether kernels may read storage textures. */
  readonly readsTextures: boolean;
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly description: AdapterDescription;
  /** Whether the device says what is wrong with a call before the call returns, as Dawn does in Node; browsers say it later. */
  readonly immediate: boolean;
  /** Seconds, as {@link AdapterOptions} has them. */
  readonly watchdog: number;
  /** Dawn's instance: while anything holds it, Node does not exit. */
  instance: unknown;
}

const wanted: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'] as GPUFeatureName[];

/** The toggles a run uses, in Dawn's `enable-dawn-features` words. */
export function dawnFlags(options: AdapterOptions): string[] {
  const enable = ['vulkan_enable_f16_on_nvidia', ...(options.enableToggles ?? [])];
  if (options.fast ?? true) enable.push('disable_robustness', 'disable_workgroup_init');
  const disable = ['timestamp_quantization', ...(options.disableToggles ?? [])];
  const flags = [`enable-dawn-features=${enable.join(',')}`, `disable-dawn-features=${disable.join(',')}`];
  if (options.backend) flags.push(`backend=${options.backend}`);
  return flags;
}

const inNode = typeof process !== 'undefined' && Boolean(process.versions?.node);

/** The browser's `navigator.gpu`, or Dawn in Node. */
async function webgpu(options: AdapterOptions): Promise<GPU> {
  if (!inNode) {
    const { navigator } = globalThis as { navigator?: { gpu?: GPU } };
    if (!navigator?.gpu)
      throw new UserError('this browser has no WebGPU', 'Use a current Chrome, Edge, Firefox or Safari.');
    return navigator.gpu;
  }
  // Mesa warns when this is unset, and writes nothing there.
  if (process.platform === 'linux') process.env.XDG_RUNTIME_DIR ??= '/tmp';
  const dawn = await import('webgpu');
  Object.assign(globalThis, dawn.globals);
  return dawn.create(dawnFlags(options));
}

/** Opens the adapter with everything the kernels can use, at the adapter's own limits. */
export async function openDevice(options: AdapterOptions = {}): Promise<OpenedDevice> {
  const watchdog = watchdogSeconds(options.watchdog);
  const instance = await webgpu(options);
  const request = () => instance.requestAdapter({ powerPreference: 'high-performance' });
  const adapter = await (options.requesting?.(request) ?? request());
  if (!adapter)
    throw new UserError(
      'no WebGPU adapter was found',
      'Run `npx clip-agiqa-webgpu setup` (in a clone: `npm run setup`): it installs a software Vulkan driver on Debian and Ubuntu, and tells you what to install on other systems.',
    );
  const limits = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeWorkgroupSizeY: limits.maxComputeWorkgroupSizeY,
      maxTextureDimension2D: limits.maxTextureDimension2D,
    },
  });
  const { info } = adapter;
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return {
    device,
    instance,
    immediate: inNode,
    watchdog,
    description: {
      name: info.device || info.description || info.vendor || 'unknown adapter',
      vendor: info.vendor,
      architecture: info.architecture,
      driver: info.description,
      software: /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(text),
      subgroupMin: device.features.has('subgroups') ? (info.subgroupMinSize ?? 0) : 0,
      subgroupMax: device.features.has('subgroups') ? (info.subgroupMaxSize ?? 0) : 0,
      features: [...device.features].filter((feature) => wanted.includes(feature as GPUFeatureName)),
      readsTextures: instance.wgslLanguageFeatures?.has('readonly_and_readwrite_storage_textures') ?? false,
    },
  };
}
