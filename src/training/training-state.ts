import type { Metrics } from '../data/metrics/evaluation.ts';
import type { RunState } from './run-kind.ts';

/** One line of metrics.jsonl. */
export interface EpochRecord {
  readonly epoch: number;
  readonly lr: number;
  /** Mean training loss of the epoch. */
  readonly loss: number;
  readonly seconds: number;
  readonly val: Metrics | null;
  readonly test: Metrics | null;
  /** Share of images put into their quality class, by a model that classifies; null for an empty part. */
  readonly accuracy?: { readonly val: number | null; readonly test: number | null };
}

/** The epoch with the best figure on the validation part: the SRCC or, of images that belong to classes, the accuracy. */
export interface BestEpoch {
  readonly epoch: number;
  readonly srcc?: number;
  readonly accuracy?: number;
}

/** Where a run stands between two epochs: enough to go on bit for bit. */
export interface TrainingState extends RunState {
  readonly epoch: number;
  readonly records: readonly EpochRecord[];
  readonly best: BestEpoch | null;
  /** Metrics of the test part before the first epoch. */
  readonly before?: Metrics | null;
}
