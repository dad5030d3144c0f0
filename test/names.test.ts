import { describe, expect, it } from 'vitest';
import { currentName, named } from '../src/autograd/names.ts';
import type { Op } from '../src/autograd/op.ts';
import { sum } from '../src/autograd/ops/reduce.ts';
import { relu } from '../src/autograd/ops/unary.ts';
import { scope } from '../src/autograd/scope.ts';
import { apply, valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { observing } from '../src/autograd/trace.ts';
import { VisionTransformer } from '../src/model/vit.ts';
import { Parameters } from '../src/model/weights/parameters.ts';
import { sharedGpu } from './gpu.ts';
import { tinyConfig, tinyTensors } from './tiny-clip.ts';

const gpu = await sharedGpu();

describe('named', () => {
  it('stands behind the names around it, and ends with its body', () => {
    const names = named('text', () => [currentName(), named('blocks.3', () => currentName()), currentName()]);
    expect(names).toEqual(['text', 'text.blocks.3', 'text']);
    expect(() =>
      named('text', () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(currentName()).toBe('');
  });

  it('holds for gradients, which run later', () => {
    const x = Tensor.from(gpu, [1, -2, 3]);
    const seen: string[] = [];
    scope(() =>
      observing(
        (call, run) => {
          seen.push(`${call.of === undefined ? '' : 'd '}${currentName()} ${call.name}`);
          return run();
        },
        () => valueAndGradients(() => sum(named('a', () => named('b', () => relu(x)))), [x]),
      ),
    );
    expect(seen).toEqual(['a.b relu', ' sum', 'd  sum', 'd a.b relu']);
    x.dispose();
  });

  it('is in the error of an op and of its gradient', () => {
    const wrong: Op<{ inputs: [x: Tensor] }> = {
      name: 'wrong',
      forward: ([x]) => x.view(),
      gradient: () => {
        throw new Error('no way back');
      },
    };
    const x = Tensor.from(gpu, [1]);
    const step = () => scope(() => valueAndGradients(() => named('mlp.c_fc', () => apply(wrong, [x])), [x]));
    expect(step).toThrow('no way back (in mlp.c_fc: gradient of wrong([1]))');
    x.dispose();
  });
});

it('the parts of a tower have the names of its weights', () => {
  const parameters = new Parameters();
  for (const [name, { shape, data }] of tinyTensors())
    if (name.startsWith('visual.')) parameters.set(name, Tensor.from(gpu, data, shape));
  const tower = new VisionTransformer(tinyConfig.vision, parameters);
  const names = new Set<string>();
  scope(() => {
    const images = Tensor.from(gpu, new Float32Array(3 * 12 * 12), [1, 3, 12, 12]);
    observing(
      (_, run) => {
        names.add(currentName());
        return run();
      },
      () => tower.features(tower.patches(images)),
    );
  });
  parameters.dispose();
  const block = (i: number) =>
    ['ln_1', 'attn.in_proj', 'attn', 'attn.out_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'].map(
      (name) => `visual.blocks.${i}.${name}`,
    );
  expect([...names]).toEqual(
    expect.arrayContaining([
      ...['visual.embedding', 'visual.embedding.ln_pre', ...block(0), ...block(1)],
      ...['visual.ln_post', 'visual.proj'],
    ]),
  );
});
