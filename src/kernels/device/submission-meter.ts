import type { Pipeline } from './pipelines.ts';

/**
 * Drivers take a GPU that does not answer for hung: Windows after 2 s, others after about 10. They count from one submission to the
 * next, so work is sent in pieces. What a piece may hold is an estimate for the slowest GPUs in use, 100 GFLOP/s in these kernels
 * and 20 GB/s: half a second. A fast GPU does as much in milliseconds, which is still hundreds of dispatches a submission.
 */
const mostOperations = 5e10;
/** Operations that a GPU of that kind does while it moves a byte. */
const operationsPerByte = 5;
/** Of a workgroup whose shader does not say what it does: 64 lanes, some hundred operations each. */
const operationsPerGroup = 1e4;

/** Adds up the work recorded since the last submission. */
export class SubmissionMeter {
  #recorded = 0;
  /** Operations that a submission may hold. */
  readonly most: number;

  /** @param processor where nobody waits for an answer, nothing is counted */
  constructor(processor: boolean, most = mostOperations) {
    this.most = processor ? Number.POSITIVE_INFINITY : most;
  }

  /** The work of a dispatch, in operations. */
  workOf({ work }: Pipeline, params: readonly number[] | undefined, x: number, y: number, z: number): number {
    if (this.most === Number.POSITIVE_INFINITY) return 0;
    if (!work) return operationsPerGroup * x * y * z;
    const { operations, bytes } = work(params ?? [], [x, y, z]);
    return Math.max(operations, operationsPerByte * bytes);
  }

  /** Whether what is recorded has to be sent before so much work is recorded too; counts it. */
  full(work: number): boolean {
    const over = this.#recorded > 0 && this.#recorded + work > this.most;
    this.#recorded = over ? work : this.#recorded + work;
    return over;
  }

  /** All that was recorded is sent. */
  sent(): void {
    this.#recorded = 0;
  }
}
