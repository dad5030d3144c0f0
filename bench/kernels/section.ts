import { type Bar, digits, markdownTable, type Section } from '../section.ts';
import { type Group, type KernelResults, type KernelRow, measureKernels, tolerance } from './measure.ts';

/** How many times faster than the fastest peer, at the worst shape. */
const bars: Readonly<Record<Group, number>> = {
  matmul: 4,
  attention: 2.5,
  softmax: 3,
  'layer norm': 3,
  'image block': 4,
  'text block, padded': 4,
  'text block, packed': 30,
};

/** Of the multiply-add ceiling, for products of eight images' rows. */
const share = { rows: '1576×', atLeast: 0.35 };

export const kernelsSection: Section<KernelResults> = {
  name: 'kernels',
  summary: "kernels against the adapter's ceiling; --peers adds TensorFlow.js, jax-js and onnxruntime-web",
  measure: measureKernels,
  bars: kernelBars,
  render,
};

/** Speed as a share of what the adapter can do: multiply-adds, or copying where memory is the limit. */
export function shareOfCeiling(
  { amount, unit, milliseconds }: KernelRow,
  { gflops, copyGBs }: KernelResults['ceiling'],
): number {
  return (1000 * amount) / milliseconds / (unit === 'GB/s' ? copyGBs : gflops);
}

/** How many times faster than the fastest peer; NaN where all of them failed, undefined where none was asked. */
export function timesFaster({ milliseconds, peers }: KernelRow): number | undefined {
  const figures = Object.values(peers);
  if (figures.length === 0) return undefined;
  const times = figures.flatMap((figure) => ('failed' in figure ? [] : [figure.milliseconds]));
  return times.length > 0 ? Math.min(...times) / milliseconds : Number.NaN;
}

function kernelBars({ ceiling, rows, clockRatio }: KernelResults): Bar[] {
  const found: Bar[] = [];
  for (const [group, atLeast] of Object.entries(bars)) {
    const compared = rows.filter((row) => row.group === group && timesFaster(row) !== undefined);
    if (compared.length === 0) continue;
    // A row that no peer can compute says nothing, and must not pass for met: it comes first.
    const rank = (row: KernelRow) => timesFaster(row) || 0;
    const worst = compared.reduce((a, b) => (rank(b) < rank(a) ? b : a));
    found.push({
      what: `${group}: speedup over the fastest peer, lowest at ${worst.shape}, ${worst.direction}`,
      value: timesFaster(worst)!,
      atLeast,
    });
  }
  const large = rows.filter(({ group, shape }) => group === 'matmul' && shape.startsWith(share.rows));
  if (large.length > 0)
    found.push({
      what: 'matmul at 1576 rows: share of the multiply-add ceiling, lowest',
      value: Math.min(...large.map((row) => shareOfCeiling(row, ceiling))),
      atLeast: share.atLeast,
    });
  if (clockRatio)
    found.push({
      what: "a long kernel: difference of the wall's time from the timestamps'",
      value: Math.abs(clockRatio - 1),
      atMost: 0.05,
    });
  found.push({
    what: 'largest difference from float64',
    value: Math.max(...rows.map(({ error }) => error)),
    atMost: 1e-4,
  });
  return found;
}

function render({ ceiling, peers, rows, unmeasured }: KernelResults): string {
  const names = peers.map(({ name }) => name);
  const groups = Object.keys(bars).filter((group) => rows.some((row) => row.group === group));
  const table = markdownTable(
    ['kernel', 'shape', 'direction', 'ms', 'speed', 'of ceiling', ...names, ...(names[0] ? ['speedup'] : [])],
    groups
      .flatMap((group) => rows.filter((row) => row.group === group))
      .map((row) => cells(row, ceiling, names)),
  );
  return [
    `Ceiling of this adapter in this run: ${digits(ceiling.gflops)} GFLOP/s of float32 multiply-adds alone, ${digits(ceiling.copyGBs)} GB/s of copying`,
    '(read plus written) what fits no cache: 64 MiB, or 512 MiB on a GPU; smaller tensors may exceed it. Products are rows × inputs × outputs; the second',
    'factor is a frozen weight, which every library prepares beforehand. Attention is batch × heads × tokens × head size, counted in full if it',
    'is causal. Gradients are with respect to the input, since the encoders are frozen. The packed text block computes what the padded',
    'one does, for prompts that share their context. Each result is checked against float64 on the CPU.',
    ...(peers.length > 0 ? comparison(peers) : []),
    '',
    table,
    ...(unmeasured ? ['', `There was no time for ${unmeasured} of the shapes.`] : []),
    ...failures(rows),
  ].join('\n');
}

function comparison(peers: KernelResults['peers']): string[] {
  return [
    '',
    `For comparison, in milliseconds: ${peers.map(({ name, version }) => `${name} ${version}`).join(', ')}, on the same adapter with the same`,
    'Dawn toggles, interleaved with ours, and checked the same way. Dawn in Node spins while it waits, which takes a core from a',
    'software adapter; this engine waits without spinning, so peers are timed both ways, and the better time counts. The last column is',
    'the speedup over the fastest of them, wrong ones included. What they cannot do, or compute wrongly here, is listed below the table.',
  ];
}

function cells(row: KernelRow, ceiling: KernelResults['ceiling'], peers: readonly string[]): string[] {
  const others = peers.map((name) => {
    const figure = row.peers[name];
    if (!figure) return '';
    if ('failed' in figure) return '–';
    return `${digits(figure.milliseconds)}${figure.error > tolerance ? ' (wrong)' : ''}`;
  });
  const faster = timesFaster(row);
  return [
    row.group,
    row.shape,
    row.group === 'matmul' ? '' : row.direction,
    digits(row.milliseconds),
    `${digits((1000 * row.amount) / row.milliseconds)} ${row.unit}`,
    `${Math.round(100 * shareOfCeiling(row, ceiling))}%`,
    ...others,
    ...(peers.length > 0 ? [faster === undefined ? '' : `${digits(faster)}×`] : []),
  ];
}

/** What peers could not do or did wrongly, each once with the kernels it was about. */
function failures(rows: readonly KernelRow[]): string[] {
  const said = new Map<string, Set<string>>();
  const wrong = new Map<string, number>();
  for (const { group, direction, peers } of rows)
    for (const [name, figure] of Object.entries(peers)) {
      if (!('failed' in figure) && figure.error <= tolerance) continue;
      const message = `${name}: ${'failed' in figure ? figure.failed : 'wrong'}`;
      said.set(message, (said.get(message) ?? new Set()).add(`${group} ${direction}`));
      if (!('failed' in figure)) wrong.set(message, Math.max(figure.error, wrong.get(message) ?? 0));
    }
  const lines = [...said].map(([message, where]) => {
    const error = wrong.get(message);
    return `- ${message}${error ? `, by up to ${digits(error)} of the largest value` : ''} (${[...where].join('; ')})`;
  });
  return lines.length === 0 ? [] : ['', ...lines];
}
