import type { EngineClient } from '../client.ts';
import type { EngineInfo } from '../protocol.ts';
import type { Example, Rated } from './rated.ts';

/** What every view of the page is given. */
export interface App {
  readonly engine: EngineClient;
  /** Settled once the engine is open; rejected where it cannot be. */
  readonly opened: Promise<EngineInfo>;
  readonly rated: Rated;
  readonly examples: readonly Example[];
  /** A failure in words, where the user sees it. */
  fail(error: unknown): void;
}

/** One of the things that the page does. */
export interface ViewDefinition {
  /** In the address: `#score`. */
  readonly id: string;
  readonly title: string;
  /** Made when it is first looked at. `query`: what stands behind the name in the address. */
  make(app: App, query: URLSearchParams): HTMLElement;
}
