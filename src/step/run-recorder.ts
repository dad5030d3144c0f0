import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { FeatureExtractor } from '../features/image-encoder.ts';
import type { Clip } from '../model/clip.ts';
import type { VisionTransformer } from '../model/vit.ts';
import type { TrainingLoop } from '../training/loop.ts';
import type { RunInspector } from '../training/run.ts';
import { refuseLinks } from '../training/run-folder.ts';
import type { Settings } from '../training/settings.ts';
import type { Spared } from './ghosts.ts';
import { recordInNode } from './record-in-node.ts';
import { sparedRows } from './spared-rows.ts';
import { sparedTower } from './spared-tower.ts';
import type { StepData } from './step-data.ts';
import { writeStepPage } from './write-page.ts';

/** Records a step of each run once it is trained, for a page beside its results. */
export class RunRecorder implements RunInspector {
  readonly #reporter: Reporter;
  readonly #command: string;
  #tower: Spared[] = [];
  #data: StepData | null = null;

  constructor(reporter: Reporter, command: string) {
    this.#reporter = reporter;
    this.#command = command;
  }

  encoded(vision: VisionTransformer, encoder: FeatureExtractor, { encodeBatch, batchSize }: Settings): void {
    this.#tower = [sparedTower(vision, encoder, encodeBatch, batchSize)];
  }

  async trained(loop: TrainingLoop, clip: Clip, settings: Settings): Promise<void> {
    const { learner, gpu } = loop;
    if (learner.parameters().size === 0) {
      this.#reporter.line('step page  none: nothing learns');
      return;
    }
    const rows = clip.hasText ? sparedRows(gpu, learner, clip.text) : [];
    const weights = new Map(clip.hasText ? clip.text.parameters.weights() : []);
    const subject = { loop, settings, weights, spared: [...rows, ...this.#tower], command: this.#command };
    try {
      ({ data: this.#data } = await recordInNode(subject, this.#reporter));
    } catch (error) {
      // An adapter that cannot time dispatches has trained all the same.
      if (!(error instanceof UserError)) throw error;
      this.#reporter.line(`step page  none: ${error.message}`);
    }
  }

  /** Writes the page into the run's folder. Gives its path, or null where no step was recorded. */
  async write(folder: string): Promise<string | null> {
    const data = this.#data;
    this.#data = null;
    if (!data) return null;
    const path = join(folder, 'step.html');
    refuseLinks(folder);
    await writeStepPage(path, data);
    this.#reporter.line(`step page  ${path}`);
    return path;
  }
}
