import type { Tensor } from '../autograd/tensor.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import type { DropoutState } from '../model/head.ts';

/** What one training step reads: image features [B, width], their scores [B] and quality classes (u32 [B]). */
export interface Batch {
  readonly features: Tensor;
  /** Those of the degraded versions of each image, one behind the other [B, versions · width], where they are asked for. */
  readonly degraded?: Tensor | undefined;
  readonly mos: Tensor;
  readonly classes: Tensor;
}

/** A model that the training loop can train: CLIP-AGIQA, its ablations, CoOp. */
export interface Learner {
  /** The tensors that learn, by their name in checkpoints. */
  parameters(): Map<string, Tensor>;
  /** The training loss, one number. Recorded once and replayed: it may not touch the host. */
  loss(batch: Batch, dropout: DropoutState): Tensor;
  /** Scores [B] of image features, in the unit of the MOS. */
  predict(features: Tensor): Tensor;
  /** The score of each member [B, members], of a learner that trains several. */
  members?(features: Tensor): Tensor;
  /** Logits [B, classes] of image features, of a model that tells the quality classes apart. */
  classify?(features: Tensor): Tensor;
  /** Several ways to read a score [B] off the same model, by name; `predict` is one of them. */
  readonly readings?: ReadonlyMap<string, (features: Tensor) => Tensor>;
  /** What scoring needs beside the image tower, computed once from what was learned: no text tower, no prompts. */
  constants(): Promise<Map<string, HostTensor>>;
  dispose(): void;
}
