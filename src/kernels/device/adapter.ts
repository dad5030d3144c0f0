import { inNode } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';
import { adapterAskedFor, adapterName } from './adapter-choice.ts';
import { adapterProfile, keepsFeature, type OptionalFeature, type ProfileWord } from './adapter-profile.ts';
import { watchdogSeconds } from './watchdog.ts';

/** How the adapter is opened; see {@link openGpu}. */
export interface AdapterOptions {
  /** Dawn's backend, for instance 'null' (accepts every command and computes nothing: isolates host cost). Node only. */
  readonly backend?: string;
  /**
   * Which adapter, where there are several: its name, part of it, or its number in the order in which Dawn lists them. By default
   * the environment variable CLIP_AGIQA_ADAPTER, else the fastest as Dawn sees it. Node only.
   */
  readonly adapter?: string;
  /**
   * How to see it, to try on one machine what runs on others: `gpu` takes the path of a GPU on a software adapter, `no-subgroups`,
   * `no-subgroup-size`, `no-f16`, `no-timestamps` and `no-texture-reads` leave out what it has, `default-limits` asks for no more
   * than every WebGPU has. By default the environment variable CLIP_AGIQA_ADAPTER_PROFILE (words separated by commas).
   */
  readonly profile?: readonly ProfileWord[];
  /** Optional features that a caller's own kernels use, besides those that the engine's do: asked for where the adapter has them. */
  readonly features?: readonly GPUFeatureName[];
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
  /** Whether kernels are chosen as for a processor: a software adapter, unless its profile says `gpu`. */
  readonly software: boolean;
  readonly subgroupMin: number;
  readonly subgroupMax: number;
  readonly features: readonly string[];
  /** Whether kernels may read storage textures. */
  readonly readsTextures: boolean;
  /** The words of its profile; left out where it is seen as it is. */
  readonly profile?: string;
  /** What a self-check found wrong and the engine does without; left out where nothing is. */
  readonly masked?: readonly string[];
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly description: AdapterDescription;
  /** Whether a processor computes, however kernels are chosen. */
  readonly processor: boolean;
  /** Whether the device says what is wrong with a call before the call returns, as Dawn does in Node; browsers say it later. */
  readonly immediate: boolean;
  /** Seconds, as {@link AdapterOptions} has them. */
  readonly watchdog: number;
  /** Dawn's instance: while anything holds it, Node does not exit. */
  instance: unknown;
}

/** What the engine's kernels use: asked for wherever an adapter has it. */
const used: readonly OptionalFeature[] = ['subgroups', 'subgroup-size-control', 'timestamp-query'];

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

/** What asks for the adapter: the browser's `navigator.gpu`, or Dawn in Node. */
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

/** Opens the adapter with everything the kernels can use, at the adapter's own limits. */
export async function openDevice(options: AdapterOptions = {}): Promise<OpenedDevice> {
  const watchdog = watchdogSeconds(options.watchdog);
  const profile = adapterProfile(options.profile);
  const instance = await webgpu(options);
  const adapter = await requestAdapter(instance, options);
  if (!adapter)
    throw new UserError(
      'no WebGPU adapter was found',
      'Run `npx clip-agiqa-webgpu setup` (in a clone: `npm run setup`): it installs a software Vulkan driver on Debian and Ubuntu, and tells you what to install on other systems.',
    );
  const language = instance.wgslLanguageFeatures;
  // Kernels that use subgroups take a lane's place from them, and not from the order of the workgroup, which WGSL leaves open.
  const numbered = language?.has('subgroup_id') ?? false;
  const wanted = [...new Set([...used, ...(options.features ?? [])])].filter(
    (feature) => numbered || !feature.startsWith('subgroup'),
  ) as GPUFeatureName[];
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter(
      (feature) => adapter.features.has(feature) && keepsFeature(profile, feature),
    ),
    requiredLimits: profile.includes('default-limits') ? {} : ownLimits(adapter),
  });
  const { info } = adapter;
  const names = {
    name: info.device || info.description || info.vendor || 'unknown adapter',
    vendor: info.vendor,
    architecture: info.architecture,
    driver: info.description,
  };
  const processor = isProcessor(names);
  const textures = language?.has('readonly_and_readwrite_storage_textures') ?? false;
  return {
    device,
    instance,
    processor,
    immediate: inNode,
    watchdog,
    description: {
      ...names,
      software: processor && !profile.includes('gpu'),
      subgroupMin: device.features.has('subgroups') ? (info.subgroupMinSize ?? 0) : 0,
      subgroupMax: device.features.has('subgroups') ? (info.subgroupMaxSize ?? 0) : 0,
      features: wanted.filter((feature) => device.features.has(feature)),
      readsTextures: textures && !profile.includes('no-texture-reads'),
      ...(profile.length > 0 && { profile: profile.join() }),
    },
  };
}

/** Whether a processor computes, whatever it is seen as. */
export function isProcessor(
  adapter: Pick<AdapterDescription, 'name' | 'vendor' | 'architecture' | 'driver'>,
) {
  const { vendor, architecture, name, driver } = adapter;
  const text = `${vendor} ${architecture} ${name} ${driver}`;
  return /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(text);
}

/** Everything that an adapter can and kernels use. */
function ownLimits({ limits }: GPUAdapter): Record<string, number> {
  return {
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupSizeY: limits.maxComputeWorkgroupSizeY,
    maxTextureDimension2D: limits.maxTextureDimension2D,
  };
}
