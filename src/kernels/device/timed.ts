import { UserError } from '../../common/errors.ts';
import type { Encoder } from './encoder.ts';
import type { DispatchTime, Profiler } from './profiler.ts';

/** The device that is timed. */
interface Timed {
  has(feature: 'timestamp-query'): boolean;
  flush(): void;
  finish(): Promise<void>;
}

/** Runs `work` with every dispatch timed. */
export async function timed(
  gpu: Timed,
  encoder: Encoder,
  open: () => Profiler,
  work: () => Promise<void> | void,
): Promise<readonly DispatchTime[]> {
  if (!gpu.has('timestamp-query'))
    throw new UserError('this adapter has no timestamp queries', 'Profile on another adapter.');
  await gpu.finish();
  const profiler = open();
  encoder.profiler = profiler;
  try {
    await work();
    await gpu.finish();
    return await profiler.times();
  } finally {
    // What is still recorded writes to the profiler's queries: they must not go before it is sent.
    try {
      gpu.flush();
    } catch {
      // Thrown by whatever brought us here.
    }
    encoder.profiler = undefined;
    profiler.destroy();
  }
}
