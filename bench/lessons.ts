/** A page of docs/kernels/: a kernel as its shaders tell it, its versions, and exercises. */
export interface Lesson {
  /** The page's name without extension. */
  readonly name: string;
  readonly title: string;
  /** What one learns there, for the table of contents. */
  readonly about: string;
  /** The form by definition: shaders, or an exercise's start where the engine has no slow form. */
  readonly plain: readonly string[];
  /** The form that is used, of which the lesson speaks. */
  readonly fast: readonly string[];
  /** The lab with its figures, and which of its shapes are this kernel's. */
  readonly lab?: { readonly name: string; readonly shapes: RegExp };
  /** An exercise of bench/exercises. */
  readonly exercise?: string;
}

/** In the order in which they are best read. */
export const lessons: readonly Lesson[] = [
  {
    name: 'scale',
    title: 'Scale',
    about: 'one number to an invocation; workgroups, bounds, and who reads what',
    plain: ['bench/exercises/scale.wgsl'],
    fast: ['shaders/scale.wgsl'],
    exercise: 'scale',
  },
  {
    name: 'sum',
    title: 'Sum',
    about: 'many numbers to one: shared memory, barriers, and the order of a sum',
    plain: ['bench/exercises/sum.wgsl'],
    fast: ['shaders/row_reduce.wgsl'],
    exercise: 'sum',
  },
  {
    name: 'softmax',
    title: 'Softmax',
    about: 'rows that are reduced and written again; overflow, one pass less, four numbers at once',
    plain: ['shaders/softmax_naive.wgsl'],
    fast: ['shaders/softmax.wgsl'],
    lab: { name: 'row-kernels', shapes: /^softmax / },
    exercise: 'softmax',
  },
  {
    name: 'layernorm',
    title: 'Layer norm',
    about: 'mean and variance without cancellation',
    plain: ['shaders/layernorm_naive.wgsl'],
    fast: ['shaders/layernorm.wgsl'],
    lab: { name: 'row-kernels', shapes: /^layerNorm / },
    exercise: 'layernorm',
  },
  {
    name: 'matmul',
    title: 'Matrix product',
    about: 'reuse: how a number that is loaded serves 128 multiply-adds',
    plain: ['shaders/matmul_naive.wgsl'],
    fast: ['shaders/matmul_tile.wgsl'],
    lab: { name: 'matmul', shapes: /./ },
    exercise: 'matmul',
  },
  {
    name: 'attention',
    title: 'Attention',
    about: 'three kernels in one, whose scores never reach memory',
    plain: [
      'shaders/attention_naive_scores.wgsl',
      'shaders/attention_naive_softmax.wgsl',
      'shaders/attention_naive_product.wgsl',
    ],
    fast: ['shaders/attention_flash.wgsl'],
    lab: { name: 'attention', shapes: /./ },
  },
];
