import { basename } from 'node:path';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { writeCheckpoint } from '../training/checkpoint.ts';
import { readModel } from './trained-model.ts';

/**
 * Writes a trained model to be passed on: what scoring and `interpret` read of it, and nothing of the machine it was trained on.
 * Its scores are the same. Weights that do not come with the package are looked for beside it.
 *
 * @param model a run's folder or its model.safetensors
 */
export async function shareModel(model: string, out: string): Promise<void> {
  const trained = await readModel(model);
  const isEmbedded = trained.weightsId === (await weightsId(weightsPath('embedded')));
  const weights = isEmbedded ? 'embedded' : basename(trained.settings.weights);
  await writeCheckpoint(out, {
    ...trained,
    settings: { ...trained.settings, weights, root: '', csv: '', cache: '' },
    state: { epoch: trained.state.epoch, records: [], best: null },
    // The head stands among the constants, with the texts folded in.
    parameters: new Map([...trained.parameters].filter(([name]) => !name.startsWith('head.'))),
    best: new Map(),
    optimizer: new Map(),
  });
}
