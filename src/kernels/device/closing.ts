import type { OpenedDevice } from './adapter.ts';
import { type DeviceErrors, DeviceLostError } from './errors.ts';
import { nextTicks, waitWithoutSpinning } from './event-loop.ts';
import { HangError } from './watchdog.ts';

/**
 * Destroys a device that has ended as soon as it has done what it was sent, and lets Node exit: while it works, destroy() would
 * stop the event loop until it has done. One that hangs is left alone, since that would be for ever; a lost one works no more.
 */
export function destroyWhenIdle(opened: OpenedDevice, { watchdog, ended }: DeviceErrors): void {
  const { device, processor } = opened;
  if (!watchdog.busy || ended instanceof DeviceLostError) destroy(opened);
  else if (!(ended instanceof HangError))
    void waitWithoutSpinning(device.queue.onSubmittedWorkDone(), processor).then(
      () => destroy(opened),
      () => destroy(opened),
    );
}

/**
 * Cause of the wait: Dawn in Node (webgpu 0.6) looks at its events in turns of the event loop that were scheduled before, and must
 * find its instance: collected too early, it crashes or hangs (test/closing.test.ts). While anything holds it, Node does not exit.
 * It can go when a device of the package keeps its instance alive.
 */
function destroy(opened: OpenedDevice): void {
  opened.device.destroy();
  void opened.device.lost
    .then(() => nextTicks(4))
    .then(() => {
      opened.instance = undefined;
    });
}
