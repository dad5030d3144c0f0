import { afterEach, describe, expect, it } from 'vitest';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { Sgd } from '../src/autograd/optimizers.ts';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { DeviceLostError } from '../src/kernels/device/errors.ts';
import { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { Lineage } from '../src/kernels/device/lineage.ts';
import { recovering } from '../src/kernels/device/recovery.ts';
import { tuned } from '../src/kernels/device/tuning.ts';
import { openDevice, openGpu } from '../src/kernels/node/open-gpu.ts';
import { randoms } from './reference/values.ts';

let unguard: (() => void) | undefined;
const opened: Gpu[] = [];
afterEach(() => {
  unguard?.();
  unguard = undefined;
  for (const gpu of opened.splice(0)) gpu.close();
});

async function open(): Promise<Gpu> {
  const gpu = await openGpu();
  opened.push(gpu);
  return gpu;
}

/** Counts submissions from now on, over all devices, and destroys the device before those that `lose` names. */
function loseAt(lose: (submission: number) => boolean): { readonly submissions: number } {
  const counted = { submissions: 0 };
  unguard = guardDevice(({ kind, device }) => {
    if (kind === 'submit' && lose(++counted.submissions)) device.destroy();
    return undefined;
  });
  return counted;
}

/** Trains a small model from where `state` stands, which after each step is on the host. */
function trainer(steps: number) {
  const state = {
    step: 0,
    values: [randoms(8 * 5, 1), randoms(8, 2), randoms(8, 3)],
    losses: [] as number[],
  };
  const attempt = async (gpu: Gpu) => {
    const shapes = [[8, 5], [8], [1, 8]];
    const parameters = state.values.map((values, i) => Tensor.from(gpu, values, shapes[i]));
    const [w1, b1, w2] = parameters as [Tensor, Tensor, Tensor];
    const [x, y] = [Tensor.zeros(gpu, [7, 5]), Tensor.zeros(gpu, [7, 1])];
    const optimizer = new Sgd(parameters, { lr: 0.05 });
    const { recording, value } = gpu.capture(() =>
      scope(() => {
        const { value, gradients } = valueAndGradients(() => {
          const hidden = linear(x, w1, b1, { activation: 'relu' });
          return mseLoss(linear(layerNorm(hidden, null, null), w2, null), y);
        }, parameters);
        optimizer.step(gradients);
        return value;
      }),
    );
    // The step that was captured has run with no inputs.
    for (const [i, tensor] of parameters.entries()) tensor.write(state.values[i]!);
    while (state.step < steps) {
      x.write(randoms(7 * 5, 100 + state.step));
      y.write(randoms(7, 200 + state.step));
      recording.replay();
      const [[loss], ...values] = await Promise.all([value.read(), ...parameters.map((one) => one.read())]);
      Object.assign(state, { step: state.step + 1, values, losses: [...state.losses, loss!] });
    }
    return state;
  };
  return { state, attempt };
}

describe('recovering', () => {
  it('goes on by itself wherever the device is lost, to the same bits', async () => {
    const undisturbed = trainer(3);
    const counted = loseAt(() => false);
    await undisturbed.attempt(await open());
    unguard!();
    expect(counted.submissions).toBeGreaterThan(10);
    for (let at = 1; at <= counted.submissions; at++) {
      const { state, attempt } = trainer(3);
      const lost: string[] = [];
      const gpu = await open();
      loseAt((submission) => submission === at);
      const result = await recovering(gpu, attempt, {
        progress: () => state.step,
        lost: ({ message }) => lost.push(message),
      });
      unguard!();
      expect(result, `lost at submission ${at}`).toEqual(undisturbed.state);
      expect(lost).toEqual([expect.stringMatching(/^the GPU device was lost \(destroyed\): ./)]);
      expect(gpu.latest).not.toBe(gpu);
      expect(gpu.latest.ended).toBeUndefined();
      gpu.close();
      expect(gpu.latest.ended?.message).toMatch(/is closed/);
    }
  }, 60_000);

  it('gives up after three attempts that got no further, with the reason', async () => {
    const gpu = await open();
    const counted = loseAt(() => true);
    let begun = 0;
    const attempt = async (device: Gpu) => {
      begun++;
      const one = Tensor.from(device, [1]);
      return one.read();
    };
    const outcome = recovering(gpu, attempt);
    await expect(outcome).rejects.toThrow(DeviceLostError);
    await expect(outcome).rejects.toThrow(/lost \(destroyed\): .*\(4 times in a row without progress\)/);
    expect([begun, counted.submissions]).toEqual([4, 4]);
  });

  it('does not give up while the work gets on, and counts from zero again after progress', async () => {
    const gpu = await open();
    loseAt((submission) => submission <= 9);
    let [done, begun] = [0, 0];
    const attempt = async (device: Gpu) => {
      // Gets on in each third attempt alone.
      if (++begun % 3 === 0) done++;
      return Tensor.from(device, [begun]).read();
    };
    expect(await recovering(gpu, attempt, { progress: () => done })).toEqual(Float32Array.of(10));
  });

  it('passes on what is not a loss, and sees a loss behind another error', async () => {
    const gpu = await open();
    const wrong = new Error('the data is wrong');
    await expect(recovering(gpu, () => Promise.reject(wrong))).rejects.toBe(wrong);
    expect(gpu.latest).toBe(gpu);
    let begun = 0;
    const attempt = async (device: Gpu) => {
      if (++begun > 1) return 'done';
      device.device.destroy();
      try {
        return await device.finish();
      } catch (cause) {
        throw new Error('the batch was not encoded', { cause });
      }
    };
    expect(await recovering(gpu, attempt)).toBe('done');
  });
});

describe('a lost device', () => {
  it('is told to all that wait and to all that ask later, and several get the same new one', async () => {
    const gpu = await open();
    const one = Tensor.from(gpu, [1]);
    const waits = [one.read(), one.read(), gpu.finish()];
    gpu.device.destroy();
    for (const outcome of await Promise.allSettled(waits))
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DeviceLostError) });
    await expect(one.read()).rejects.toThrow(DeviceLostError);
    expect(() => gpu.flush()).toThrow(DeviceLostError);
    const [a, b] = await Promise.all([gpu.reopen(), gpu.reopen()]);
    expect(a).toBe(b);
    expect([gpu.latest, await gpu.reopen(), await a.reopen()]).toEqual([a, a, a]);
    expect(await Tensor.from(a, [2]).read()).toEqual(Float32Array.of(2));
    // What was on the lost one may be given back, and no sooner does anything else happen on it.
    one.dispose();
    gpu.pool.trim();
    expect(gpu.pool.statistics).toMatchObject({ liveBytes: 0, heldBytes: 0 });
    // The new one may be lost as well.
    a.device.destroy();
    await expect(a.finish()).rejects.toThrow(DeviceLostError);
    const c = await gpu.reopen();
    expect(await Tensor.from(c, [3]).read()).toEqual(Float32Array.of(3));
    expect(new Set([gpu, a, c]).size).toBe(3);
  });

  it('does not come back once it was closed', async () => {
    const gpu = await open();
    gpu.device.destroy();
    await expect(gpu.finish()).rejects.toThrow(DeviceLostError);
    const again = gpu.reopen();
    gpu.close();
    await expect(again).rejects.toThrow(/this GPU is closed/);
    await expect(gpu.reopen()).rejects.toThrow();
  });

  it('hands on what was measured, not what waits to be measured', async () => {
    const gpu = await open();
    const key = 'family/version/shape';
    (tuned(gpu) as Map<string, unknown>).set(key, { variant: 'naive', times: {} });
    gpu.device.destroy();
    await expect(gpu.finish()).rejects.toThrow(DeviceLostError);
    const next = await gpu.reopen();
    expect(tuned(next).get(key)).toEqual({ variant: 'naive', times: {} });
    expect(tuned(await open()).has(key)).toBe(false);
  });

  it('is not replaced by other hardware', async () => {
    let count = 0;
    const lineage = new Lineage<Gpu>(async () => {
      const device = await openDevice();
      return { ...device, description: { ...device.description, name: `GPU ${++count}` } };
    });
    const first = await openDevice();
    const gpu = new Gpu({ ...first, description: { ...first.description, name: 'GPU 2' } }, lineage);
    opened.push(gpu);
    gpu.device.destroy();
    await expect(gpu.finish()).rejects.toThrow(DeviceLostError);
    // The second look finds it.
    expect((await gpu.reopen()).adapter.name).toBe('GPU 2');
    expect(count).toBe(2);
  });
});

it('whoever waits for a closed device, or asks one, is told so', async () => {
  const gpu = await open();
  const one = Tensor.from(gpu, [1]);
  const outcome = one.read().catch((error: Error) => error.message);
  gpu.close();
  expect(await outcome).toMatch(/this GPU is closed/);
  await expect(one.read()).rejects.toThrow(/this GPU is closed/);
  await expect(gpu.reopen()).rejects.toThrow(/this GPU is closed/);
});
