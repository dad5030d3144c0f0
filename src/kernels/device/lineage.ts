import type { OpenedDevice } from './adapter.ts';
import type { AdapterDescription } from './adapter-description.ts';
import { DeviceLostError } from './errors.ts';

/** Seconds before each look for an adapter after a loss: a driver that resets takes its time. */
const retrySeconds = [0, 0.5, 2, 5];

/** A device and those opened one after the other in its place. */
export class Lineage<Device> {
  /** The one opened last in place of another. */
  latest: Device | undefined;
  closed = false;
  /** What a self-check found wrong: it holds for those that are opened in place of another, too. */
  masked: readonly string[] = [];
  readonly #open: () => Promise<OpenedDevice>;
  #opening: Promise<Device> | undefined;

  constructor(open: () => Promise<OpenedDevice>) {
    this.#open = open;
  }

  /** Opens a device in place of the latest, which is lost. Who asks while one is being opened gets the same. */
  replace(adapter: AdapterDescription, make: (opened: OpenedDevice) => Device): Promise<Device> {
    return (this.#opening ??= this.#replace(adapter, make).finally(() => {
      this.#opening = undefined;
    }));
  }

  async #replace(lost: AdapterDescription, make: (opened: OpenedDevice) => Device): Promise<Device> {
    let reason: unknown;
    for (const seconds of retrySeconds) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      if (this.closed) throw closedError();
      let opened: OpenedDevice;
      try {
        opened = await this.#open();
      } catch (error) {
        reason = error;
        continue;
      }
      const { description, device } = opened;
      // Other hardware gives other bits, and the processor in place of a GPU would take days without a word.
      const same = description.name === lost.name && description.driver === lost.driver;
      if (same && !this.closed) return (this.latest = make(opened));
      device.destroy();
      if (this.closed) throw closedError();
      reason = new Error(`only ${description.name} is left`);
    }
    throw new DeviceLostError(
      `the GPU device was lost, and ${lost.name} could not be reopened: ${reason instanceof Error ? reason.message : reason}`,
      { cause: reason },
    );
  }
}

/** Whoever uses a device after close(). */
export function closedError(): Error {
  return new Error('this GPU is closed: open another with openGpu()');
}
