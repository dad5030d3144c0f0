import { UserError } from '../../common/errors.ts';
import type { AdapterDescription } from './adapter-description.ts';
import { adapterProfile, keepsFeature, type OptionalFeature, type ProfileWord } from './adapter-profile.ts';
import type { AdapterStore } from './adapter-store.ts';
import { watchdogSeconds } from './watchdog.ts';

/** How a device is opened, wherever the adapter comes from. */
export interface DeviceOptions {
  /**
   * How to see the adapter, to try on one machine what runs on others: `gpu` takes the path of a GPU on a software adapter,
   * `no-subgroups`, `no-subgroup-size`, `no-f16`, `no-timestamps` and `no-texture-reads` leave out what it has, `default-limits` asks
   * for no more than every WebGPU has. By default the environment variable CLIP_AGIQA_ADAPTER_PROFILE (words separated by commas).
   */
  readonly profile?: readonly ProfileWord[];
  /** Optional features that a caller's own kernels use, besides those that the engine's do: asked for where the adapter has them. */
  readonly features?: readonly GPUFeatureName[];
  /**
   * Seconds after which the GPU is taken to hang, for work of no size; it has more for more work. 0 for no end. By default
   * the environment variable CLIP_AGIQA_WATCHDOG, else 600.
   */
  readonly watchdog?: number;
}

/** Where adapters come from: a browser, or Dawn in Node. */
export interface AdapterSource {
  readonly gpu: GPU;
  readonly request: () => Promise<GPUAdapter | null>;
  /** What to do where there is no adapter. */
  readonly advice: string;
  /** Whether a device says what is wrong with a call before the call returns, as Dawn does in Node; browsers say it later. */
  readonly immediate: boolean;
  /** Keeps what is found out about an adapter; null: it is forgotten with the device. */
  readonly store: AdapterStore | null;
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly description: AdapterDescription;
  /** Whether a processor computes, however kernels are chosen. */
  readonly processor: boolean;
  /** As {@link AdapterSource} has them. */
  readonly immediate: boolean;
  readonly store: AdapterStore | null;
  /** Seconds, as {@link DeviceOptions} has them. */
  readonly watchdog: number;
  /** Dawn's instance: while anything holds it, Node does not exit. */
  instance: unknown;
}

/** What the engine's kernels use: asked for wherever an adapter has it. */
const used: readonly OptionalFeature[] = ['subgroups', 'subgroup-size-control', 'timestamp-query'];

/** Opens the adapter with everything the kernels can use, at the adapter's own limits. */
export async function openAdapter(source: AdapterSource, options: DeviceOptions): Promise<OpenedDevice> {
  const watchdog = watchdogSeconds(options.watchdog);
  const profile = adapterProfile(options.profile);
  const adapter = await source.request();
  if (!adapter) throw new UserError('no WebGPU adapter was found', source.advice);
  const language = source.gpu.wgslLanguageFeatures;
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
    // A browser may keep the name to itself, but not that it computes on the processor.
    name:
      info.device ||
      info.description ||
      (info.isFallbackAdapter && 'software adapter') ||
      info.vendor ||
      'unknown adapter',
    vendor: info.vendor,
    architecture: info.architecture,
    driver: info.description,
  };
  const processor = isProcessor(names);
  const textures = language?.has('readonly_and_readwrite_storage_textures') ?? false;
  return {
    device,
    instance: source.gpu,
    processor,
    immediate: source.immediate,
    store: source.store,
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
