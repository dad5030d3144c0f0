import type { OpenedDevice } from './adapter.ts';
import type { AdapterDescription } from './adapter-description.ts';
import type { OptionalFeature } from './adapter-profile.ts';
import type { AdapterStore } from './adapter-store.ts';
import { AdapterView } from './adapter-view.ts';
import { checkArea, checkCopy, checkRange, type TextureArea, texelBytes } from './allocation.ts';
import { BindGroups } from './bind-groups.ts';
import { Arena, BufferPool, type GpuBuffer } from './buffer-pool.ts';
import { destroyWhenIdle } from './closing.ts';
import { Encoder } from './encoder.ts';
import { DeviceErrors, DeviceLostError, type Submitted } from './errors.ts';
import { isCount, notCounts } from './groups.ts';
import { submitting } from './guard.ts';
import type { Launch } from './launch.ts';
import { closedError, Lineage } from './lineage.ts';
import { DeviceMemory } from './memory.ts';
import { type Kernel, type Pipeline, PipelineCache } from './pipelines.ts';
import { type DispatchTime, type KernelTime, Profiler, timesByKernel } from './profiler.ts';
import { type Command, Recording } from './recording.ts';
import { Staging } from './staging.ts';
import { SubmissionMeter } from './submission-meter.ts';
import { type GpuTexture, TexturePool } from './texture-pool.ts';
import { timed } from './timed.ts';
import type { Tracer } from './tracer.ts';
import type { Watchdog } from './watchdog.ts';

export { foldGroups } from './groups.ts';
export type { Launch } from './launch.ts';

/**
 * A device with its buffer pool, pipelines and one command encoder: the only thing kernel launchers need.
 * Commands gather in one compute pass and go to the queue with flush() or with the first read().
 */
export class Gpu {
  readonly device: GPUDevice;
  readonly pool: BufferPool;
  readonly textures: TexturePool;
  readonly pipelines: PipelineCache;
  readonly limits: AdapterView['limits'];
  readonly #opened: OpenedDevice;
  readonly #lineage: Lineage<Gpu>;
  readonly #errors: DeviceErrors;
  readonly #watchdog: Watchdog;
  readonly #encoder: Encoder;
  readonly #meter: SubmissionMeter;
  #released = false;
  #commands: Command[] | undefined; // what a capture under way has recorded
  readonly #bindGroups: BindGroups;
  readonly #view: AdapterView;
  readonly #memory: DeviceMemory;
  readonly #staging: Staging;
  /** Dispatches and submissions so far. */
  readonly counters = { dispatches: 0, submits: 0 };
  #tracer: Tracer | undefined;

  constructor(opened: OpenedDevice, lineage: Lineage<Gpu>) {
    this.#opened = opened;
    this.#lineage = lineage;
    this.#errors = new DeviceErrors(opened);
    this.#watchdog = this.#errors.watchdog;
    this.#meter = new SubmissionMeter(opened.processor && opened.description.software);
    this.device = opened.device;
    this.#view = new AdapterView(opened, lineage.masked);
    this.limits = this.#view.limits;
    this.#encoder = new Encoder(this.device, () => this.flush());
    this.#memory = new DeviceMemory(this.device, this.#errors);
    this.#staging = new Staging(this.#memory, this.#errors);
    this.#bindGroups = new BindGroups(this.device, this.#memory, this.#errors);
    // Before a buffer is destroyed, what was recorded with it must be submitted, and its bind groups must go: ids are never
    // used again, so clearing all is only a matter of speed.
    this.pool = new BufferPool(this.device.limits, this.#memory, () => {
      if (!this.#errors.ended) this.flush();
      this.#bindGroups.clear();
    });
    this.textures = new TexturePool(this.device.limits, this.#memory, this.pool);
    this.pipelines = new PipelineCache(this.device, this.#errors, this.#view.subgroupSizes);
    void this.device.lost.then(({ reason, message }) => {
      this.#errors.end(new DeviceLostError(`the GPU device was lost (${reason}): ${message}`));
      this.#release();
    });
  }

  /** What ended this device: its loss, or close(). Undefined while it works. */
  get ended(): Error | undefined {
    return this.#errors.ended;
  }

  /** The device opened last in place of one that was lost; this one as long as it works. */
  get latest(): Gpu {
    return this.#lineage.latest ?? this;
  }

  /** The same object for a device and for those that were opened in its place: what outlives a loss may be kept by it. */
  get lineage(): object {
    return this.#lineage;
  }

  /** Keeps what is found out about the adapter; null: it is forgotten with the device. */
  get store(): AdapterStore | null {
    return this.#opened.store;
  }

  /**
   * The device to go on with: this one while it works, else one opened in its place as this one was, the same for all who
   * ask. Nothing that was on the lost device is on the new one. Throws when no device comes back, or this one was closed.
   */
  async reopen(): Promise<Gpu> {
    const { latest } = this;
    if (!latest.#errors.ended) return latest;
    if (!(latest.#errors.ended instanceof DeviceLostError)) throw latest.#errors.ended;
    const lineage = this.#lineage;
    return lineage.replace(latest.adapter, (opened) => new Gpu(opened, lineage));
  }

  /** What computes, less what is masked. */
  get adapter(): AdapterDescription {
    return this.#view.description;
  }

  /** Does without what a self-check found wrong, here and on what is opened in place of this device; masks.ts has the words. */
  mask(words: readonly string[]): void {
    this.#lineage.masked = words;
    this.#view.mask(words);
  }

  /** Whether the device was opened with an optional feature. */
  has(feature: OptionalFeature): boolean {
    return this.#view.has(feature);
  }

  /** Observes everything that is recorded. */
  get tracer(): Tracer | undefined {
    return this.#tracer;
  }

  set tracer(tracer: Tracer | undefined) {
    this.#tracer = tracer;
    this.pool.tracer = tracer;
  }

  /** What a dispatch should do at most, by what its shader says of itself: larger ones are launched in pieces where they can be. */
  get mostOperations(): number {
    return this.#meter.most;
  }

  /** Records one dispatch. Buffers fill the kernel's storage bindings in order of their numbers. */
  run(kernel: Kernel, launch: Launch): void {
    const pipeline = this.pipelines.get(kernel, launch.constants);
    const { buffers, groups } = launch;
    const binds = pipeline.storage.length;
    if (buffers.length !== binds)
      throw new Error(`kernel ${kernel.name} binds ${binds} buffers, but ${buffers.length} were passed`);
    const [x, y = 1, z = 1] = groups;
    if (!(isCount(x) && isCount(y) && isCount(z))) throw new Error(notCounts(kernel.name, groups));
    if (x === 0 || y === 0 || z === 0) return;
    const bindGroup = this.#bindGroups.get(pipeline, buffers, launch.params);
    this.#tracer?.launch?.(kernel, pipeline, launch);
    const work = this.#meter.workOf(pipeline, launch.params, x, y, z);
    this.#commands?.push({ kind: 'dispatch', pipeline, bindGroup, buffers, x, y, z, work });
    this.#watchdog.sent(pipeline.name, x * y * z);
    this.dispatch(pipeline, bindGroup, x, y, z, work);
  }

  /** Encodes a dispatch whose bind group stands ready: the whole host cost of a replayed step. `work` in operations. */
  dispatch(pipeline: Pipeline, bindGroup: GPUBindGroup, x: number, y: number, z: number, work: number): void {
    if (this.#meter.full(work)) this.#submit();
    this.counters.dispatches++;
    this.#tracer?.dispatch?.(pipeline.name, [x, y, z]);
    this.#encoder.dispatch(pipeline, bindGroup, x, y, z);
  }

  /** Tells the watchdog of dispatches that are sent again, by the names of the last ones and all their workgroups. */
  announce(kernels: readonly string[], groups: number): void {
    this.#watchdog.sentAll(kernels, groups);
  }

  /** Records a copy of `bytes` bytes (a multiple of 4) between two different buffers. */
  copy(from: GpuBuffer, fromOffset: number, to: GpuBuffer, toOffset: number, bytes: number): void {
    checkCopy(from, fromOffset, to, toOffset, bytes);
    this.#tracer?.copy?.(from, to, bytes);
    this.#commands?.push({ kind: 'copy', from, fromOffset, to, toOffset, bytes });
    this.#encoder.copy(from.raw, fromOffset, to.raw, toOffset, bytes);
  }

  /** Records a copy of a dense matrix into a texture; its rows must be a multiple of 256 bytes long. */
  copyToTexture(from: GpuBuffer, to: GpuTexture, area: TextureArea): void {
    checkArea(from, to, area);
    this.#tracer?.copy?.(from, to, area.width * area.height * texelBytes[to.format]);
    this.#commands?.push({ kind: 'texture', from, to, area });
    this.#encoder.copyToTexture(from, to, area);
  }

  /** Writes host data (a multiple of 4 bytes) at once; commands recorded before it are submitted first, so that they see the old contents. */
  write(to: GpuBuffer, data: ArrayBufferView, offset = 0): void {
    if (this.#commands)
      throw new Error('a captured step must not write from the host: write its inputs before the replay');
    checkRange('a write', to, offset, data.byteLength);
    this.flush();
    this.device.queue.writeBuffer(to.raw, offset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Submits what is recorded and reads `bytes` bytes back. */
  async read(from: GpuBuffer, bytes: number, offset = 0): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    checkRange('a read', from, offset, size);
    this.#errors.check(); // before anything is recorded that would be in the way of what comes next
    return this.#staging.read(size, bytes, (staging) => {
      this.#encoder.copy(from.raw, offset, staging, 0, size);
      this.flush();
    });
  }

  /** Gives the driver back what nobody uses: free buffers of the pool, and those of reads. */
  trim(): void {
    this.pool.trim();
    this.#staging.trim();
  }

  /** Submits what is recorded. */
  flush(): void {
    this.#errors.check();
    this.#meter.sent();
    this.#submit();
  }

  #submit(): void {
    const commands = this.#encoder.take();
    if (!commands) return;
    submitting(this.device);
    this.#errors.attempt(() => this.device.queue.submit([commands.encoder.finish()]));
    this.counters.submits++;
    commands.collect?.();
  }

  /** Submits what is recorded. What it returns waits as {@link finish} does, but not for what is submitted later. */
  mark(): Submitted {
    this.flush();
    return this.#errors.mark(this.device.queue.onSubmittedWorkDone());
  }

  /** Submits what is recorded and waits until the GPU has done it; throws the first error any of it met. */
  async finish(): Promise<void> {
    await this.mark().wait();
  }

  /**
   * Runs `step` once and keeps its commands for replay. Buffers allocated in it stay set aside until the recording is
   * disposed of; what differs from step to step must be data in buffers written before replay().
   */
  capture<T>(step: () => T): { recording: Recording; value: T } {
    const arena = new Arena();
    this.pool.beginArena(arena);
    const commands: Command[] = [];
    this.#commands = commands;
    let value: T;
    const recording = new Recording(this, commands, arena);
    try {
      value = step();
      if (value instanceof Promise) {
        value.catch(() => {}); // what becomes of it follows from this mistake
        throw new Error('capture() takes a synchronous function: read results after it');
      }
    } catch (error) {
      this.#commands = undefined;
      this.pool.endArena(arena, new Set());
      this.pool.dissolve(arena);
      throw error;
    }
    this.#commands = undefined;
    recording.seal();
    return { recording, value };
  }

  /** Runs `work` with every dispatch timed, and adds the times up by kernel; needs timestamp queries. */
  async profile(work: () => Promise<void> | void): Promise<KernelTime[]> {
    return timesByKernel(await this.timeline(work));
  }

  /**
   * As {@link profile}, each dispatch by itself, in order.
   *
   * @param repeats how often a dispatch, by its number, runs between its two timestamps: browsers round them to 0.1 ms
   */
  timeline(
    work: () => Promise<void> | void,
    repeats?: (dispatch: number) => number,
  ): Promise<readonly DispatchTime[]> {
    return timed(
      this,
      this.#encoder,
      () => new Profiler(this.device, this.#memory, this.#errors, repeats),
      work,
    );
  }

  /**
   * Destroys the device, with those opened in its place, as soon as it has done what it was sent, and lets Node exit. What
   * waits for it is rejected. A device that hangs cannot be destroyed: the process then ends by process.exit() only.
   */
  close(): void {
    this.#lineage.closed = true;
    const { latest } = this;
    latest.#errors.end(closedError());
    latest.#release();
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    destroyWhenIdle(this.#opened, this.#errors);
  }
}

/** A device that is opened by this function, as are those in its place should it be lost. */
export async function openGpuOf(open: () => Promise<OpenedDevice>): Promise<Gpu> {
  return new Gpu(await open(), new Lineage(open));
}
