/** What tests call in a page. */
export interface Lab {
  /** An image's size, the hash of its pixels and of what the network takes of them at 64 pixels a side, and the first pixels. */
  decode(
    url: string,
    autoOrient: boolean,
  ): Promise<{
    readonly size: readonly number[];
    readonly pixels: string;
    readonly prepared: string;
    readonly some: readonly number[];
  }>;

  /** The projected features of one image's pixels, RGB, by the CLIP at an address. */
  features(clip: string, pixels: readonly number[]): Promise<number[]>;
}
