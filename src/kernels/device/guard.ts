/**
 * What the engine asks of a device that can fail, announced before it is asked, so that a test can have any of it fail: the device
 * lost at the n-th submission, the n-th buffer refused. Unwatched, it costs a comparison a submission and a new buffer.
 */
export interface DeviceOperation {
  readonly kind: 'submit' | 'allocate';
  readonly device: GPUDevice;
  /** Of an allocation. */
  readonly bytes?: number;
}

/** Called before each operation. A buffer or texture is refused where it returns 'out of memory'. */
export type DeviceGuard = (operation: DeviceOperation) => 'out of memory' | undefined;

let guard: DeviceGuard | undefined;

/** Puts a guard before every operation of every device until the function returned is called. For tests. */
export function guardDevice(watching: DeviceGuard): () => void {
  if (guard) throw new Error('the devices are already guarded');
  guard = watching;
  return () => {
    guard = undefined;
  };
}

/** Before a submission. */
export function submitting(device: GPUDevice): void {
  guard?.({ kind: 'submit', device });
}

/** Before an allocation. One that is to fail is refused as the device would refuse it. */
export function allocating(device: GPUDevice, bytes: number): void {
  if (guard?.({ kind: 'allocate', device, bytes }) !== 'out of memory') return;
  const error = new GPUOutOfMemoryError('the guard refuses it');
  device.dispatchEvent(Object.assign(new Event('uncapturederror', { cancelable: true }), { error }));
}
