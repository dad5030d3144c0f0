import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import {
  ablationDocument,
  ablationFolder,
  ablationSchema,
  ablationTable,
  studies,
  studyNames,
  trialsOf,
  withAblations,
} from '../bench/ablations.ts';
import { checkLearner } from '../src/training/create-learner.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';

const settingsOf = (changes: object) => applySettings(defaultSettings(), changes, 'test');
const config = { vision: {} } as Parameters<typeof checkLearner>[0];

describe.each(studyNames)('the ablations of %s', (name) => {
  const study = studies[name];
  const trials = trialsOf(study);
  const byId = new Map(trials.map((trial) => [trial.id, settingsOf(trial.changes)]));

  it('are settings that can be trained, each another one', () => {
    for (const { changes } of trials) checkLearner(config, null, settingsOf(changes));
    expect(new Set([...byId.values()].map((settings) => JSON.stringify(settings))).size).toBe(trials.length);
  });

  it('change one lever of what they are compared with', () => {
    for (const { id, against } of trials.filter((trial) => trial.against !== null)) {
      const [own, other] = [byId.get(id)!, byId.get(against!)!];
      const differing = Object.keys(own).filter(
        (key) => own[key as keyof typeof own] !== other[key as keyof typeof other],
      );
      const allowed = [...study.levers, ...study.instead].map(({ changes }) =>
        Object.keys(changes).sort().join(),
      );
      expect(allowed, id).toContain(differing.sort().join());
    }
  });

  it('that are left out leave what the others come to', () => {
    for (const { undo, changes } of study.levers) expect(Object.keys(undo)).toEqual(Object.keys(changes));
  });

  it('fill the table of docs/quality.md, as they are kept', () => {
    const file = join(ablationFolder, `${name}.json`);
    if (!existsSync(file)) {
      // None is kept yet: there is a place for it, and nothing stands in it.
      const marks = `<!-- ablations ${name} -->\n<!-- end -->`;
      expect(readFileSync(ablationDocument, 'utf8')).toContain(marks);
      return;
    }
    const results = v.parse(ablationSchema, JSON.parse(readFileSync(file, 'utf8')));
    const text = readFileSync(ablationDocument, 'utf8');
    expect(withAblations(text, name, ablationTable(study, results))).toBe(text);
  });
});

it('marks a difference whose interval does not contain 0', () => {
  const figure = (value: number, low: number, high: number) => ({
    'published split': { value, interval: [low, high] as [number, number] },
  });
  const srcc = figure(0.7, 0.65, 0.74);
  const of = (above: ReturnType<typeof figure> | null) => ({ srcc, above, seconds: 1 });
  const results = {
    adapter: 'none',
    seeds: [1],
    trials: {
      all: of(null),
      'without-two-native-crops': of(figure(-0.02, -0.03, -0.01)),
      'without-three-members': of(figure(0.001, -0.01, 0.02)),
    },
  };
  expect(ablationTable(studies.embedded, results).split('\n').slice(2)).toEqual([
    '| all of them | **0.700** (0.650 to 0.740) |  |  |  |  |',
    '| all but two native crops | 0.700, −0.020 * |  |  |  |  |',
    '| all but three members | 0.700, +0.001 |  |  |  |  |',
  ]);
});

it('refuses a document without marks', () => {
  expect(() => withAblations('# Better', 'embedded', '| |')).toThrow('no marks');
  expect(withAblations('<!-- ablations embedded -->\nold\n<!-- end -->\nrest', 'embedded', 'new')).toBe(
    '<!-- ablations embedded -->\n\nnew\n\n<!-- end -->\nrest',
  );
});
