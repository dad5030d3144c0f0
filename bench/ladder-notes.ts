/** A version of a kernel, and what is new in it beside the one above. */
export interface LadderStep {
  readonly version: RegExp;
  readonly says: string;
}

/** What was tried and did not help, with its figure. */
export interface LadderDetour {
  readonly tried: string;
  readonly figure: string;
}

/** The lesson of a lab: what its figures cannot say by themselves. */
export interface LadderNotes {
  readonly lab: string;
  readonly title: string;
  readonly intro: string;
  readonly steps: readonly LadderStep[];
  readonly detours: readonly LadderDetour[];
}

const lavapipe = 'lavapipe (Mesa 25.0.7), 2 cores';

export const ladders: readonly LadderNotes[] = [
  {
    lab: 'matmul',
    title: 'Matrix product',
    intro:
      'out = act(A·B + bias) + residual. A product of m x k by k x n takes 2mnk operations and, read once, 4(mk + kn + mn) bytes: at the shapes of a transformer it is bound by arithmetic, if every number that is loaded is used often enough. That is what each step is about.',
    steps: [
      {
        version: /^naive$/,
        says: 'One invocation per output; it reads a row of A and a column of B from memory, 2 loads for each multiply-add. The oracle of the others.',
      },
      {
        version: /^tile/,
        says: 'For GPUs: a workgroup passes slices of A and B through shared memory, and each invocation keeps a block of 4 x 4 to 8 x 8 outputs in registers. A number that is loaded is used 64 or 128 times. The next slice is asked for before the arithmetic of this one, four numbers at a time, and rows exchange places in shared memory so that neither writing nor reading it has bank conflicts: on RDNA 3 nine in ten vector instructions of the loop of 128 x 128 multiply and add ([what compilers say](../gpu-compilers.md)).',
      },
      {
        version: /^few$/,
        says: 'For GPUs and up to 64 rows, as in a training step: 32 lanes split k between them and read the weights straight from memory. A tile would wait for 32 to 192 slices one after the other, on 8 to 32 workgroups; this makes at most 16 such waits up to k = 4096, on ten times as many. The parts are added in a fixed order. A layer norm before such a product, or the gradient of one, is made on its way: each workgroup takes mean and rstd of its own rows.',
      },
      {
        version: /^simd/,
        says: 'For adapters that run on a CPU: a workgroup is one subgroup of 8 lanes, which is one vector register. No shared memory and no barrier; a lane loads vec4s of its own rows and columns, and the rows are passed around by subgroupBroadcast. Higher tiles use each load more often, until the accumulators no longer fit into registers.',
      },
      {
        version: /^texture/,
        says: 'The same register tile, read from storage textures that the driver fills by a copy: on lavapipe a texel costs a third of a buffer load, which tests the execution mask and the bounds of every word.',
      },
    ],
    detours: [
      {
        tried: 'Packing the operands with a kernel of our own instead of the driver’s buffer-to-texture copy',
        figure: `1.2 to 1.35 times as fast as without packing; the driver’s copy makes it 1.2 to 1.5 (1576 rows, ${lavapipe})`,
      },
      {
        tried: 'Shared memory on a software adapter (tile instead of simd)',
        figure: `3 to 5 times slower: a workgroup barrier is a coroutine switch of 36 to 44 ns (${lavapipe})`,
      },
      {
        tried: '512-bit vectors (LP_NATIVE_VECTOR_WIDTH=512)',
        figure: `doubles the multiply-add ceiling, gains nothing in products, and compiles slowly (${lavapipe})`,
      },
      {
        tried: 'Tiles in textures beyond 40 x 64 (48 x 64 to 80 x 64, 40 x 96, 40 x 128)',
        figure: `at 1576x768x768 all of them 39 to 44 % of the ceiling where 40 x 64 has 56 %: the unrolled loop no longer fits what the processor holds decoded (${lavapipe})`,
      },
      {
        tried:
          'k in blocks of 192 to 1536 whose sums are added to the result, so that both panels stay in the second cache',
        figure: `1576x3072x768 by 40 x 64: 87 ms whole, 84 ms in blocks of 768, 98 ms of 192; 1576x768x768 20 ms whole, 24 ms of 192 (${lavapipe})`,
      },
      {
        tried: 'vec4 accumulators, and unrolling beyond 4 steps of k',
        figure: `registers spill, half the speed (${lavapipe})`,
      },
    ],
  },
  {
    lab: 'attention',
    title: 'Attention',
    intro:
      'out = softmax(scale·Q·Kᵀ)·V for every head. Counted as full attention, 4·T²·D operations a head forward and 10·T²·D backward; what a mask spares shows as speed.',
    steps: [
      {
        version: /^naive$/,
        says: 'Scores, softmax and product as kernels of their own, with the T x T scores in memory. Any head size; the oracle of the others.',
      },
      {
        version: /^flash/,
        says: 'For GPUs, FlashAttention: tiles of keys in shared memory and an online softmax, so that scores never reach memory. The gradient recomputes the probabilities from the saved log-sum-exp, once by queries and once by keys, without atomics.',
      },
      {
        version: /^head$/,
        says: 'For GPUs and up to 64 tokens, as in a training step, the gradients alone: one workgroup a head keeps P and dS in shared memory between its queries and its keys. One launch in place of three, and five products in place of seven.',
      },
      {
        version: /^simd$/,
        says: 'For adapters that run on a CPU: a lane owns whole rows of scores, which fit into workgroup memory for 8 to 40 queries; only values of K and V pass between lanes. Reads textures where a copy pays.',
      },
    ],
    detours: [
      {
        tried: 'Recomputing the probabilities in both halves of the gradient on a CPU, as flash does',
        figure: `seven products instead of five; keeping P and dS in memory is faster at T = 197 (${lavapipe})`,
      },
      {
        tried: 'Textures for few queries',
        figure: `the copy costs more than it saves at 8 queries or fewer; 1.4 times as fast above (${lavapipe})`,
      },
    ],
  },
  {
    lab: 'row-kernels',
    title: 'Softmax and layer norm',
    intro:
      'Kernels that reduce rows are bound by memory: the ceiling is a copy. The question is who owns a row, so that its sum costs little and neighboring loads are neighbors in memory.',
    steps: [
      {
        version: /^naive$/,
        says: 'One invocation per row, in three plain loops. The first page of the lesson, and the oracle of the others.',
      },
      {
        version: /^lane$/,
        says: 'One lane per row, several elements at a time: nothing is exchanged. For short rows, and for CPUs.',
      },
      {
        version: /^subgroup$/,
        says: 'One subgroup per row: its lanes load neighbors and add up by subgroup operations, without shared memory.',
      },
      {
        version: /^workgroup$/,
        says: 'One workgroup per row: a tree of sums in shared memory. For long rows on a GPU.',
      },
    ],
    detours: [
      {
        tried: 'One element at a time on a software adapter',
        figure: `four at a time are 1.5 times as fast (${lavapipe})`,
      },
      {
        tried: 'subgroupAdd on a software adapter',
        figure: `38 to 40 ns each, ten multiply-adds’ worth: a row a lane needs none (${lavapipe})`,
      },
    ],
  },
];
