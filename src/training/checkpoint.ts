import { writeOutput } from '../common/files.ts';
import { withTensorFile } from './checkpoint-file.ts';
import { type Checkpoint, readTrainingFile, trainingBytes } from './training-format.ts';

/** Writes a checkpoint or a model. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await writeOutput(path, trainingBytes(checkpoint));
}

/** As {@link readTrainingFile}, of the file at a path. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return withTensorFile(path, readTrainingFile);
}
