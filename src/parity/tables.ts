import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { trainTestSplit } from '../data/datasets/splits.ts';
import { krcc, plcc, rmse, srcc } from '../data/metrics/correlation.ts';
import { logisticFit } from '../data/metrics/logistic.ts';
import { loadTokenizer } from '../data/tokenizer/vocabulary.ts';
import { learningRates } from '../training/lr-schedule.ts';
import { figure, missing, type Results } from './figure.ts';

async function readJson<T>(path: string): Promise<T | null> {
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as T) : null;
}

/** Token ids of every text of tokenizer.json. */
export async function* checkTokenizer(folder: string): Results {
  const reference = await readJson<{ cases: { text: string; ids: number[] }[] }>(
    join(folder, 'tokenizer.json'),
  );
  if (!reference) {
    yield missing('tokenizer');
    return;
  }
  const tokenizer = await loadTokenizer();
  const wrong = reference.cases.filter(({ text, ids }) => tokenizer.encode(text).join() !== ids.join());
  yield figure(`tokenizer, wrong of ${reference.cases.length} texts`, wrong.length, 0, 'differences');
}

interface SplitReference {
  readonly train_len: number;
  readonly train_head: number[];
  readonly test_head: number[];
  readonly sha256_train: string;
  readonly sha256_test: string;
}

/** scikit-learn's splits of splits.json (`n=N random_state=S`): heads, and the hash of all indices. */
export async function* checkSplits(folder: string): Results {
  const reference = await readJson<Record<string, SplitReference>>(join(folder, 'splits.json'));
  if (!reference) {
    yield missing('splits');
    return;
  }
  for (const [name, expected] of Object.entries(reference)) {
    const numbers = /^n=(\d+) random_state=(\d+)$/.exec(name);
    if (!numbers) continue; // entries by image name need the dataset's own files
    const { train, test } = trainTestSplit(Number(numbers[1]), 0.2, Number(numbers[2]));
    let wrong = 0;
    for (const [part, head] of [
      [train, expected.train_head],
      [test, expected.test_head],
    ] as const)
      wrong += head.filter((index, i) => part[i] !== index).length;
    wrong += Number(sha256(train) !== expected.sha256_train) + Number(sha256(test) !== expected.sha256_test);
    yield figure(`split ${name}`, wrong, 0, 'differences');
  }
}

const sha256 = (indices: Int32Array) => createHash('sha256').update(indices.join(',')).digest('hex');

/** The learning rate of every epoch of lr-schedule.json. */
export async function* checkSchedule(folder: string): Results {
  const reference = await readJson<{ lr: number; max_epoch: number; warmup: string; per_epoch: number[] }>(
    join(folder, 'lr-schedule.json'),
  );
  if (!reference) {
    yield missing('learning rates');
    return;
  }
  const [, warmupLr, warmupEpochs] = /constant ([\d.e-]+) for (\d+) epoch/.exec(reference.warmup) ?? [];
  const rates = learningRates({
    epochs: reference.max_epoch,
    lr: reference.lr,
    warmupEpochs: Number(warmupEpochs),
    warmupLr: Number(warmupLr),
  });
  const error = Math.max(...reference.per_epoch.map((lr, epoch) => Math.abs(lr - rates[epoch]!)));
  yield figure(`learning rates of ${reference.max_epoch} epochs`, error, 1e-9, 'absolute');
}

interface MetricsCase {
  readonly pred: number[];
  readonly mos: number[];
  readonly srcc: number;
  readonly plcc: number;
  readonly krcc: number;
  readonly rmse: number;
  readonly plcc_logistic4: number;
  readonly rmse_logistic4: number;
}

/** SRCC, PLCC, KRCC and RMSE, before and after the logistic, of metrics.json. */
export async function* checkMetrics(folder: string): Results {
  const reference = await readJson<{ cases: MetricsCase[] }>(join(folder, 'metrics.json'));
  if (!reference) {
    yield missing('metrics');
    return;
  }
  for (const [i, { pred, mos, ...expected }] of reference.cases.entries()) {
    const label = `metrics ${i} (n = ${pred.length})`;
    const plain = {
      srcc: srcc(pred, mos),
      plcc: plcc(pred, mos),
      krcc: krcc(pred, mos),
      rmse: rmse(pred, mos),
    };
    for (const [name, value] of Object.entries(plain))
      yield figure(
        `${label} ${name}`,
        Math.abs(value - expected[name as keyof typeof plain]),
        1e-9,
        'absolute',
      );
    const fitted = logisticFit(pred, mos, 4);
    yield figure(
      `${label} plcc after the logistic`,
      Math.abs(fitted.plcc - expected.plcc_logistic4),
      1e-4,
      'absolute',
    );
    yield figure(
      `${label} rmse after the logistic`,
      Math.abs(fitted.rmse - expected.rmse_logistic4),
      1e-4,
      'absolute',
    );
  }
}
