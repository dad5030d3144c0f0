import { ceilingLaunches } from '../../kernels/ceiling.ts';
import type { Gpu } from '../../kernels/device/gpu.ts';
import { clearTuning, pendingShapes, tune } from '../../kernels/device/tuning.ts';
import { checkAdapter, everyCheck } from '../../self-check/index.ts';
import type { MachineEvent, MachineResult } from '../protocol.ts';
import type { PageEngine } from './engine.ts';

/** A submission and its wake-up take a fraction of a millisecond, and browsers round their clocks to as much. */
const leastMilliseconds = 20;
const mostLaunches = 1024;
const rounds = 5;

/** What this adapter has, computes rightly, and how fast: its ceilings, and every variant of the kernels at the model's shapes. */
export async function measureMachine(
  engine: PageEngine,
  tell: (event: MachineEvent) => void,
  signal: AbortSignal,
): Promise<MachineResult> {
  const began = performance.now();
  let gpu = await engine.gpu.reopen();
  const { software } = gpu.adapter;
  const checks: MachineResult['checks'][number][] = [];
  const checked = await checkAdapter(gpu, {
    choice: 'always',
    // A processor compiles the large ones for minutes.
    checks: everyCheck.filter(({ large }) => !(large && software)),
    usable: () => {},
    onFinding: ({ name, wrong }) => {
      const check = { name, ...(wrong !== undefined && { wrong }) };
      checks.push(check);
      tell({ kind: 'check', check });
    },
  });
  gpu = checked.gpu;
  signal.throwIfAborted();
  const ceilings = await measureCeilings(gpu);
  tell({ kind: 'ceilings', ceilings });
  signal.throwIfAborted();
  // What was measured before is forgotten, so that every shape of a score and its explanation is met again.
  await clearTuning(gpu);
  const pixels = new Uint8Array(3 * engine.scorer.imageSize ** 2);
  await engine.scorer.score([pixels]);
  await engine.scorer.explain(pixels);
  const shapes: MachineResult['shapes'][number][] = [];
  const all = pendingShapes(gpu);
  await tune(gpu, {
    rounds: software ? 1 : 7,
    onLeftOut: () => {}, // is in the measurement
    onShape: (key, { variant, times, leftOut = {} }) => {
      const shape = { shape: key.replace(/\/[0-9a-f]{8}\//, ' '), variant, times, leftOut };
      shapes.push(shape);
      tell({ kind: 'shape', shape, share: shapes.length / all });
      signal.throwIfAborted();
    },
  });
  const { adapter, device } = gpu;
  const { limits } = device;
  return {
    adapter,
    limits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxTextureDimension2D: limits.maxTextureDimension2D,
    },
    checks,
    ceilings,
    shapes,
    seconds: (performance.now() - began) / 1000,
  };
}

/** The fastest of several rounds, each of as many launches as take long enough to be timed. */
async function measureCeilings(gpu: Gpu): Promise<MachineResult['ceilings']> {
  const { operations, bytes, multiply, move, release } = ceilingLaunches(gpu, 0.05);
  const fastest = async (launch: () => void) => {
    const time = async (count: number) => {
      await gpu.finish();
      const start = performance.now();
      for (let i = 0; i < count; i++) launch();
      await gpu.finish();
      return performance.now() - start;
    };
    let count = 1;
    for (let took = await time(1); took < leastMilliseconds && count < mostLaunches; took = await time(count))
      count = Math.min(mostLaunches, Math.ceil((1.5 * count * leastMilliseconds) / Math.max(took, 0.1)));
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds; round++) best = Math.min(best, (await time(count)) / count);
    return best;
  };
  try {
    return {
      gflops: operations / (await fastest(multiply)) / 1e6,
      copyGBs: bytes / (await fastest(move)) / 1e6,
    };
  } finally {
    release();
    gpu.trim();
  }
}
