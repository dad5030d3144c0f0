export interface LearningRateOptions {
  readonly epochs: number;
  /** The rate after warm-up. */
  readonly lr: number;
  /** So many first epochs run at `warmupLr`. */
  readonly warmupEpochs: number;
  readonly warmupLr: number;
}

/**
 * The learning rate of each epoch: a constant warm-up, then a cosine from `lr` toward 0 over all `epochs` (Loshchilov and
 * Hutter, arXiv 1608.03983). As in Dassl, the cosine starts when the warm-up ends: epoch e runs at
 * lr/2 · (1 + cos(π·(e - warmupEpochs)/epochs)).
 */
export function learningRates({ epochs, lr, warmupEpochs, warmupLr }: LearningRateOptions): number[] {
  return Array.from({ length: epochs }, (_, epoch) =>
    epoch < warmupEpochs ? warmupLr : 0.5 * lr * (1 + Math.cos((Math.PI * (epoch - warmupEpochs)) / epochs)),
  );
}

/**
 * The learning rate of a step, counted from 0: a linear rise over the first `warmup` share of all steps, and a cosine to 0
 * over all of them (as CLIP is trained: Radford et al., arXiv 2103.00020, section 2.5).
 */
export function warmupCosine(
  step: number,
  steps: number,
  { lr, warmup }: { lr: number; warmup: number },
): number {
  const rise = Math.min(1, (step + 1) / Math.max(1, warmup * steps));
  return lr * rise * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
}
