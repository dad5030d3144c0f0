import { DeviceLostError } from './errors.ts';
import type { Gpu } from './gpu.ts';

/** How {@link recovering} goes about it. */
export interface RecoveryOptions {
  /** A number that changes when the work gets on: what has been done is then not lost with the device. By default it never does. */
  readonly progress?: () => number;
  /** Called with each loss before the new device is opened. */
  readonly lost?: (error: DeviceLostError) => void;
}

/** How often work is begun again without having got any further. */
const attempts = 3;

/**
 * Does work that outlives its device: when that is lost, `attempt` runs again on a new one, at most three times in a row
 * without progress. The attempt makes all that it needs of the device it is given; whatever it had on the one before is gone,
 * so it goes on from what the host or the disk holds. Afterwards the device to use is `gpu.latest`.
 */
export async function recovering<T>(
  gpu: Gpu,
  attempt: (gpu: Gpu) => Promise<T>,
  options: RecoveryOptions = {},
): Promise<T> {
  const { progress = () => 0, lost } = options;
  for (let failures = 0; ; ) {
    const current = await gpu.reopen();
    const before = progress();
    try {
      return await attempt(current);
    } catch (error) {
      const loss = lossIn(error);
      if (!loss) throw error;
      failures = progress() === before ? failures + 1 : 0;
      if (failures > attempts)
        throw new DeviceLostError(`${loss.message} (${failures} times in a row without progress)`, {
          cause: error,
        });
      lost?.(loss);
    }
  }
}

/** The loss of a device that an error is, or was caused by. */
function lossIn(error: unknown): DeviceLostError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof DeviceLostError) return at;
  return undefined;
}
