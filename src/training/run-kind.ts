import type { Tensor } from '../autograd/tensor.ts';
import type { Reporter } from '../common/reporter.ts';
import type { CheckpointFormat } from './checkpoint-format.ts';
import type { RunCommand } from './run-command.ts';
import type { LockOptions } from './run-lock.ts';

export interface RunOptions extends LockOptions {
  /** Go on from the last checkpoint in the run's folder, or in the folder given here. */
  readonly resume: boolean | string;
  /** Begin in place of the run that is in the folder. */
  readonly overwrite?: boolean | undefined;
  readonly reporter: Reporter;
  /** Ends the run between two steps: it is then `Stopped` at its last checkpoint. */
  readonly signal?: AbortSignal;
  /** Write TensorBoard's event file too, where this kind of run has one; a resumed run that has one goes on with it. */
  readonly tensorboard?: boolean | undefined;
}

/** Settings that every kind of run has. */
export interface RunSettings {
  readonly epochs: number;
  /** The folder for the results, or empty. */
  readonly out: string;
}

/** How many epochs a run was to have, when it began and after each time that was raised. */
export type Plan = readonly { readonly after: number; readonly epochs: number }[];

/** Where a run of any kind stands: enough to go on bit for bit, with the tensors beside it. */
export interface RunState {
  /** The lines of metrics.jsonl. */
  readonly records: readonly object[];
  /** Absent in files of earlier versions. */
  readonly plan?: Plan;
}

/** Curves that are written beside the checkpoints. */
export interface Curves<State extends RunState> {
  /** Appends what is not yet written; `records`: all so far. */
  write(records: State['records']): void;
}

/** What tells training from pre-training where a run is saved, resumed and spoken of. */
export interface RunKind<Settings extends RunSettings, State extends RunState, More extends object> {
  readonly command: RunCommand;
  readonly format: CheckpointFormat<Settings, State, More>;
  /** What its progress is counted in. */
  readonly unit: 'epoch' | 'step';
  done(state: State): number;
  /** Where a run was stopped that has no checkpoint yet. */
  readonly unsaved: string;
  /** What to try against numbers that are not finite. */
  readonly remedy: string;
  openCurves?(folder: string): Promise<Curves<State>>;
}

/** The learned tensors and the optimizer's state of a run on its device, by name. */
export interface DeviceState {
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly optimizer: ReadonlyMap<string, Tensor>;
}
