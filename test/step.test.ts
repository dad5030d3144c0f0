import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stepText } from '../src/cli/step-table.ts';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { exact } from '../src/step/exact.ts';
import { figuresOf, groupsOf, keys } from '../src/step/figures.ts';
import { openStep } from '../src/step/open-step.ts';
import { recordInNode } from '../src/step/record-in-node.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const gpu = await sharedGpu();
const folder = temporaryFolder('step');
const root = mkdtempSync(join(folder, 'scenes-'));
await makeScenes(root, { scenes: 10, versions: 2, size: 64, seed: 3 });
const settings = applySettings(defaultSettings(), { root, views: 1, batchSize: 4, cache: 'none' }, 'test');
const signal = new AbortController().signal;
const opened = await openStep(gpu, settings, { reporter: silent, signal });
const { data, capturable } = await recordInNode({ ...opened, settings, command: 'step' }, silent, {
  rounds: 3,
});
const figures = figuresOf(data);
afterAll(() => opened.close());

describe('a recorded step', () => {
  it('has every dispatch of the capture, each with its op, its time and its work', () => {
    expect(data.dispatches.length).toBeGreaterThan(75);
    for (const { ns, least, most, operations, bytes, shader, kernel } of data.dispatches) {
      expect(least).toBeLessThanOrEqual(ns);
      expect(ns).toBeLessThanOrEqual(most);
      expect(operations).toBeGreaterThanOrEqual(0);
      expect(bytes).toBeGreaterThan(0);
      expect(data.shaders[shader]!.kernel).toBe(kernel);
    }
    const order = data.dispatches.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
    expect(order).toEqual(['forward', 'backward', 'update']);
    expect(data.loss).toBeGreaterThan(0);
  });

  it('pairs each gradient with its op, whose part it is in', () => {
    const gradients = data.ops.filter(({ kind }) => kind === 'gradient');
    expect(gradients.length).toBe(data.ops.filter(({ taped }) => taped).length);
    for (const { of, name, part } of gradients)
      expect([data.ops[of!]!.name, data.ops[of!]!.part]).toEqual([name, part]);
    expect(data.ops.map(({ part }) => part)).toContain('text.blocks.1.mlp.c_fc');
  });

  it('knows the line of the model that asked', () => {
    const op = data.ops.find(({ part }) => part === 'text.blocks.0.mlp.c_fc')!;
    const frames = data.stacks[op.stack]!.map((at) => data.frames[at]!);
    const mlpFrame = frames.find(({ fn, file }) => file === 'src/model/layers.ts' && fn === 'mlp')!;
    const line = ({ file, line }: typeof mlpFrame) => data.files[file]!.split('\n')[line - 1];
    expect(line(mlpFrame)).toMatch(/const hidden = scope\(/);
    expect(frames.map((frame) => line(frame)).join('\n')).toContain("project(normed, 'c_fc', block.fc");
  });

  it('names what was there before, and lets storage live as long as it is read', () => {
    const names = data.residents.map(({ name }) => name);
    for (const name of ['batch.features', 'head.1.weight', 'velocity of ctx', 'ln_final.weight'])
      expect(names).toContain(name);
    const known = new Set(data.residents.map(({ storage }) => storage));
    for (const [at, { uses }] of data.dispatches.entries())
      for (const { storage } of uses) {
        const allocated = data.lifetimes.some(
          (life) => life.storage === storage && life.from <= at && (life.to === null || life.to > at),
        );
        expect(allocated || known.has(storage), `storage ${storage} at dispatch ${at}`).toBe(true);
      }
    expect(figures.peak.bytes).toBe(Math.max(...figures.live));
    expect(figures.live.at(-1)).toBe(0);
  });

  it('has the values of every op', () => {
    const { values, ops } = data;
    const of = (part: string) => values[ops.findIndex((op) => op.part === part)]!;
    expect(of('text.blocks.0.ln_1')).toMatchObject({ shape: [1, 35, 64], count: 2240, nan: 0, infinite: 0 });
    expect(of('text.blocks.0.ln_1').histogram.reduce((a, b) => a + b)).toBe(2240);
    expect(values.length).toBe(ops.length);
  });

  it('agrees with float64 in every op and every gradient', () => {
    for (const [i, one] of data.values.entries()) {
      const { kind, part, name } = data.ops[i]!;
      expect(one?.error, `${kind} ${part} ${name}`).toBeLessThan(3e-6);
    }
  });

  it('hands out values and gradients by name', () => {
    const { values, gradients } = capturable;
    expect(values.get('text.blocks.1.attn')?.shape).toEqual([1, 35, 64]);
    expect(gradients.get('text.blocks.1.attn')?.shape).toEqual([1, 35, 64]);
    expect([...values.keys()]).toEqual(
      expect.arrayContaining(['joined.joinRepeated', 'text.blocks.2.gatherRows.2', 'ctx']),
    );
    // The loss is linear in the last bias: its gradient is that of the head's output, added up.
    const sum = (data: Float32Array) => data.reduce((total, value) => total + value, 0);
    expect(sum(gradients.get('head.4')!.data)).toBeCloseTo(gradients.get('head.4.bias')!.data[0]!, 5);
    const loss = values.get('loss')!.data[0];
    expect(loss).toBe(data.loss);
  });

  it('counts what it spares', () => {
    const [rows, tower, gradients] = [...data.ghosts].sort((a, b) => a.what.localeCompare(b.what));
    expect(rows!.what).toBe('427 of 462 prompt rows');
    expect(tower!.what).toBe('the image tower on 4 images');
    expect(gradients!.what).toBe('weight gradients of 12 frozen linear layers');
    const text = data.dispatches.filter(({ part }) => /^(?:text\.(?!normalize)|prompts)/.test(part));
    const there = text.reduce((sum, { operations }) => sum + operations!, 0);
    // Thirteen times the rows, and attention grows less than with their square, since the prompts stay apart.
    expect(rows!.operations / there).toBeGreaterThan(8);
    expect(rows!.operations / there).toBeLessThan(20);
  });
});

describe('the figures of a step', () => {
  it('add up in every grouping', () => {
    for (const key of Object.values(keys)) {
      const groups = groupsOf(data, figures, key);
      const sum = (pick: (group: (typeof groups)[number]) => number) =>
        groups.reduce((total, group) => total + pick(group), 0);
      expect(sum(({ calls }) => calls)).toBe(data.dispatches.length);
      expect(sum(({ ns }) => ns)).toBeCloseTo(figures.total, 3);
      expect(sum(({ operations }) => operations)).toBe(figures.operations);
      expect(sum(({ bytes }) => bytes)).toBe(figures.bytes);
    }
  });

  it('sort by time above the roofline', () => {
    const wasted = groupsOf(data, figures, keys.kernel, 'wasted').map((group) => group.wasted);
    expect(wasted).toEqual([...wasted].sort((a, b) => b - a));
    const { ceilings, dispatches } = data;
    const { ns, operations, bytes } = dispatches[10]!;
    const ideal = Math.max(operations! / ceilings.gflops, bytes! / ceilings.copyGBs);
    expect(figures.marks[10]).toMatchObject({ ideal, wasted: Math.max(0, ns - ideal) });
  });

  it('are a table in the terminal', () => {
    const text = stepText(data, figures, 'phase', 'order');
    expect(text).toMatch(/^forward +\d+ /m);
    expect(text).toContain(`dispatches ${data.dispatches.length}, `);
    expect(text).toContain('427 of 462 prompt rows');
  });
});

it('an op without a form in float64 has no error', () => {
  const call = { attributes: undefined, inputs: [], dy: null, wanted: 0, gathered: null };
  expect(exact({ ...call, name: 'an op of somebody' })).toBeNull();
});
