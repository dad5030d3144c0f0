/** What was tried outside of the labs and did not help, or looked right and was wrong. */
export interface Setback {
  readonly tried: string;
  /** What came of it, with its figure. */
  readonly figure: string;
  /** What was learned from it. */
  readonly lesson: string;
  /** The commit whose message has the figure. */
  readonly commit: string;
}

export const setbacks: readonly Setback[] = [
  {
    tried: 'Pre-training a small CLIP from random weights on 2,380 images',
    figure:
      'zero-shot SRCC 0.096 from random weights, 0.184 from spectral ones before any training, 0.673 after it',
    lesson: 'With so few images the start decides: the image tower begins as statistics of local spectra.',
    commit: 'a1fa34d',
  },
  {
    tried: 'Waiting for the GPU as Dawn does it in Node',
    figure:
      'its wait spins: a third of the speed of 2 cores went to waiting, and a software adapter computes on those cores',
    lesson: 'The event loop sleeps between its looks while anything is awaited.',
    commit: 'e8a8962',
  },
  {
    tried: '… and counting the waits that are open, to know when to sleep',
    figure:
      'a wait that a lost device never settled slowed every turn of the loop: 184 turns in 200 ms where there are thousands',
    lesson: 'A counter that only an answer takes down has to live without the answer.',
    commit: 'ce19715',
  },
  {
    tried: 'Object literals that begin with a spread, `{ ...shape, alpha }`, where kernels are launched',
    figure:
      '1 to 30 µs each in V8, against 0.1 µs for `{ alpha, ...shape }`; without them a dispatch costs the host 28 % less',
    lesson: 'A test looks for them in launchers and ops.',
    commit: 'e7e8fe4',
  },
  {
    tried: 'Dividing a sum once instead of summing quotients, in the statistics of features',
    figure:
      '4 of 1,152 means moved by one unit in the last place, and with them the head that is trained on them',
    lesson: 'Cleaner and even more exact is still a change of results; it was taken back.',
    commit: '591b68f',
  },
  {
    tried:
      'Shorter forms of a matrix kernel: a select for the place of a result, rows found by / and % of a constant',
    figure: '3 to 14 % and about 7 % slower (texture40x64 at 1576x768x768, paired runs)',
    lesson: 'The lines were saved elsewhere.',
    commit: '979229a',
  },
  {
    tried: 'Holding a peer’s results for right because it is a library',
    figure:
      'in jax-js 0.1.25 the gradient of a split is wrong, and onnxruntime-web 1.30’s attention by up to 0.238 of the largest value',
    lesson: 'The bench checks every library against float64, and marks those that fail.',
    commit: '61c8511',
  },
  {
    tried: 'Explaining a score by attention times its gradient, as published',
    figure:
      'rank agreement with Shapley values 0.41; with the gradient by the logits 0.51 (five images, regions hidden by their mean color)',
    lesson:
      'A hidden patch hands its attention to the others: what counts is how much better than their mean it is. More that was tried: [why a score](explain.md).',
    commit: '323bc3f',
  },
];
