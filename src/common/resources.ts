/** Whatever has to be let go when the work that needed it ends, however it ends. */
type Resource = { dispose(): unknown } | { close(): unknown };

/** Resources that are let go together, the last first: for work in stages each of which needs what the ones before it made. */
export class Resources {
  readonly #held: Resource[] = [];

  hold<T extends Resource>(resource: T): T {
    this.#held.push(resource);
    return resource;
  }

  /** Lets go of all of them, also where one fails at it. */
  async release(): Promise<void> {
    const last = this.#held.pop();
    if (!last) return;
    try {
      await ('dispose' in last ? last.dispose() : last.close());
    } finally {
      await this.release();
    }
  }
}
