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
