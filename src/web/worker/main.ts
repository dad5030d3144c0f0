import { UserError } from '../../common/errors.ts';
import { PageEngine } from './engine.ts';
import { measureMachine } from './machine.ts';
import { ScoredPicture } from './score.ts';
import { serve } from './serve.ts';
import { Teaching } from './teach.ts';
import { PageTraining } from './training.ts';

let opened:
  | {
      readonly engine: PageEngine;
      readonly picture: ScoredPicture;
      readonly training: PageTraining;
      readonly teaching: Teaching;
    }
  | undefined;

function current() {
  if (!opened) throw new UserError('the engine is not open');
  return opened;
}

serve({
  async open({ texts }) {
    const engine = await PageEngine.open(texts);
    opened = {
      engine,
      picture: new ScoredPicture(engine),
      training: new PageTraining(engine),
      teaching: new Teaching(engine),
    };
    return { adapter: engine.gpu.adapter, imageSize: engine.scorer.imageSize };
  },
  score: ({ bytes, name }) => current().picture.score(bytes, name),
  change: (changes) => current().picture.change(changes),
  explain: () => current().picture.explain(),
  heldOut: () => current().training.heldOut(),
  train: (args, { tell, signal }) => current().training.train(args, tell, signal),
  step: (args, { tell, signal }) => current().training.step(args, tell, signal),
  taught: ({ bytes, name }) => current().teaching.add(bytes, name),
  async untaught({ id }) {
    current().teaching.remove(id);
    return null;
  },
  teach: (args, { tell, signal }) => current().teaching.teach(args, tell, signal),
  machine: (_, { tell, signal }) => measureMachine(current().engine, tell, signal),
  async lose() {
    current().engine.gpu.latest.device.destroy();
    return null;
  },
});
