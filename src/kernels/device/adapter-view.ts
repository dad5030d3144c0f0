import type { OpenedDevice } from './adapter.ts';
import type { AdapterDescription } from './adapter-description.ts';
import type { OptionalFeature } from './adapter-profile.ts';
import { maskedFeature, withoutMasked } from './masks.ts';
import type { SubgroupSizes } from './subgroup-size.ts';

/** What an adapter is and has, without what is masked. Copied: each question to the device crosses into native code. */
export class AdapterView {
  readonly limits: Pick<
    GPUSupportedLimits,
    'maxComputeWorkgroupStorageSize' | 'maxStorageBuffersPerShaderStage'
  >;
  readonly #whole: AdapterDescription;
  readonly #offered: readonly string[];
  #description: AdapterDescription;
  #features: ReadonlySet<string>;

  constructor({ device, description }: OpenedDevice, masked: readonly string[]) {
    const { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage } = device.limits;
    this.limits = { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage };
    this.#whole = this.#description = description;
    this.#offered = [...device.features];
    this.#features = new Set(this.#offered);
    this.mask(masked);
  }

  get description(): AdapterDescription {
    return this.#description;
  }

  /** Whether the device was opened with a feature that is not masked. */
  has(feature: OptionalFeature): boolean {
    return this.#features.has(feature);
  }

  /** The sizes of subgroups that a shader can ask for, if it can. */
  get subgroupSizes(): SubgroupSizes | undefined {
    const { subgroupMin: min, subgroupMax: max } = this.#description;
    return this.has('subgroup-size-control') ? { min, max } : undefined;
  }

  /** Leaves out these, and these alone. */
  mask(words: readonly string[]): void {
    this.#description = withoutMasked(this.#whole, words);
    this.#features = new Set(this.#offered.filter((feature) => !maskedFeature(words, feature)));
  }
}
