import { assemble, type Code, FunctionBuilder, op } from './wasm.ts';

/**
 * The two passes of the bicubic resize as vector loops of WebAssembly: the sums of resize-plain.ts to the last bit.
 *
 * A weight w has 23 bits and its sign, and the instruction that multiplies and adds fastest takes 16: so w = 4096·high + low, with 12
 * bits in `low`, and Σ p·w = 4096·Σ p·high + Σ p·low, each sum by a dot product of two taps at a time. As in the plain form sums are
 * 32 bits wide and begin at one half; the last step cuts 22 bits off and brings what is left within 0 … 255.
 *
 * A table has a record for each output position: the byte at which its taps begin, the number of pairs of taps, and two words a pair,
 * [low, low] and [high, high]. An odd last tap is paired with a weight of 0, which reads a pixel that may be anything.
 */
export const recordHead = 8;
export const pairBytes = 8;

/** Rows that one turn of the horizontal pass takes: they share the loads of weights. */
export const rowsPerTurn = 4;

const { v128, i8x16, i16x8, i32x4 } = op;
const half = 1 << 21;
const none = 0x80; // a byte that swizzle makes 0

/** Both sums put together: rounded pixels as 32-bit numbers, not yet within 0 … 255. */
const joined = (low: Code, high: Code): Code =>
  [high, op.const(12), i32x4.shl, low, i32x4.add, op.const(22), i32x4.shrS].flat();

/** `name` plus the dot product of two vectors. */
const accumulate = (f: FunctionBuilder, name: string, values: string, weights: string): Code =>
  f.set(name, f.get(name), f.get(values), f.get(weights), i32x4.dot, i32x4.add);

/** Of {@link rowsPerTurn} rows at a time, `turns` times, every pixel that the table describes; a row of pixels is 3 bytes a pixel. */
function horizontal(): FunctionBuilder {
  const rows = [...Array(rowsPerTurn).keys()];
  const f = new FunctionBuilder(
    'horizontal',
    ['source', 'sourceStride', 'turns', 'table', 'tableEnd', 'record', 'target', 'targetStride'],
    {
      t: 'i32',
      out: 'i32',
      pair: 'i32',
      pairEnd: 'i32',
      turn: 'i32',
      ...Object.fromEntries(rows.map((r) => [`at${r}`, 'i32' as const])),
      weightLow: 'v128',
      weightHigh: 'v128',
      pixels: 'v128',
      halves: 'v128',
      ...Object.fromEntries(
        rows.flatMap((r) => [`low${r}`, `high${r}`].map((name) => [name, 'v128' as const])),
      ),
    },
  );
  // Bytes r g b r g b of two pixels become words r r, g g, b b.
  const byChannel = [0, none, 3, none, 1, none, 4, none, 2, none, 5, none, none, none, none, none];
  const pairLoop = op.loop(
    f.set('weightLow', f.get('pair'), v128.load32Splat()),
    f.set('weightHigh', f.get('pair'), v128.load32Splat(4)),
    ...rows.flatMap((r) => [
      f.set('pixels', f.get(`at${r}`), v128.load64Zero(), v128.const(byChannel), i8x16.swizzle),
      accumulate(f, `low${r}`, 'pixels', 'weightLow'),
      accumulate(f, `high${r}`, 'pixels', 'weightHigh'),
      f.advance(`at${r}`, op.const(6)),
    ]),
    f.advance('pair', op.const(pairBytes)),
    f.get('pair'),
    f.get('pairEnd'),
    op.lessThan,
  );
  const result = (r: number) => joined(f.get(`low${r}`), f.get(`high${r}`));
  const columnLoop = op.loop(
    f.set('at0', f.get('turn'), f.get('t'), op.load(), op.add),
    ...rows.slice(1).map((r) => f.set(`at${r}`, f.get(`at${r - 1}`), f.get('sourceStride'), op.add)),
    f.set('pair', f.get('t'), op.const(recordHead), op.add),
    f.set('pairEnd', f.get('pair'), f.get('t'), op.load(4), op.const(pairBytes), op.mul, op.add),
    ...rows.flatMap((r) => [f.set(`low${r}`, f.get('halves')), f.set(`high${r}`, op.const(0), i32x4.splat)]),
    pairLoop,
    f.set(
      'pixels',
      ...[result(0), result(1), i16x8.narrowS, result(2), result(3), i16x8.narrowS, i8x16.narrowU],
    ),
    // Four bytes a row: the fourth is overwritten by the next pixel, or stands in the space after the row.
    f.set('pair', f.get('out')),
    ...rows.flatMap((r) => [
      [...f.get('pair'), ...f.get('pixels'), ...v128.store32Lane(r)],
      f.advance('pair', f.get('targetStride')),
    ]),
    f.advance('out', op.const(3)),
    f.advance('t', f.get('record')),
    f.get('t'),
    f.get('tableEnd'),
    op.lessThan,
  );
  f.body = [
    f.set('halves', op.const(half), i32x4.splat),
    f.set('turn', f.get('source')),
    op.loop(
      f.set('t', f.get('table')),
      f.set('out', f.get('target')),
      columnLoop,
      f.advance('turn', [...op.const(rowsPerTurn), ...f.get('sourceStride'), ...op.mul]),
      f.advance('target', [...op.const(rowsPerTurn), ...f.get('targetStride'), ...op.mul]),
      f.advance('turns', op.const(-1)),
      f.get('turns'),
    ),
  ].flat();
  return f;
}

/** Rows of `line` bytes, 16 bytes of each at a time, from rows `stride` bytes apart of which the table names the first. */
function vertical(): FunctionBuilder {
  const quarters = [0, 1, 2, 3];
  const f = new FunctionBuilder(
    'vertical',
    ['source', 'stride', 'table', 'tableEnd', 'record', 'target', 'line'],
    {
      column: 'i32',
      at: 'i32',
      pair: 'i32',
      pairEnd: 'i32',
      weightLow: 'v128',
      weightHigh: 'v128',
      first: 'v128',
      second: 'v128',
      both: 'v128',
      words: 'v128',
      halves: 'v128',
      ...Object.fromEntries(
        quarters.flatMap((q) => [`low${q}`, `high${q}`].map((name) => [name, 'v128' as const])),
      ),
    },
  );
  const interleave = (from: number) => Array.from({ length: 16 }, (_, i) => from + (i >> 1) + 16 * (i & 1));
  const quarterOf = (q: number, extend: Code) => [
    f.set('words', f.get('both'), extend),
    accumulate(f, `low${q}`, 'words', 'weightLow'),
    accumulate(f, `high${q}`, 'words', 'weightHigh'),
  ];
  const pairLoop = op.loop(
    f.set('weightLow', f.get('pair'), v128.load32Splat()),
    f.set('weightHigh', f.get('pair'), v128.load32Splat(4)),
    f.set('first', f.get('at'), v128.load()),
    f.advance('at', f.get('stride')),
    f.set('second', f.get('at'), v128.load()),
    f.advance('at', f.get('stride')),
    f.set('both', f.get('first'), f.get('second'), i8x16.shuffle(interleave(0))),
    ...quarterOf(0, i16x8.extendLowU),
    ...quarterOf(1, i16x8.extendHighU),
    f.set('both', f.get('first'), f.get('second'), i8x16.shuffle(interleave(8))),
    ...quarterOf(2, i16x8.extendLowU),
    ...quarterOf(3, i16x8.extendHighU),
    f.advance('pair', op.const(pairBytes)),
    f.get('pair'),
    f.get('pairEnd'),
    op.lessThan,
  );
  const result = (q: number) => joined(f.get(`low${q}`), f.get(`high${q}`));
  const chunkLoop = op.loop(
    f.set('at', f.get('source'), f.get('table'), op.load(), op.add, f.get('column'), op.add),
    f.set('pair', f.get('table'), op.const(recordHead), op.add),
    f.set('pairEnd', f.get('pair'), f.get('table'), op.load(4), op.const(pairBytes), op.mul, op.add),
    ...quarters.flatMap((q) => [
      f.set(`low${q}`, f.get('halves')),
      f.set(`high${q}`, op.const(0), i32x4.splat),
    ]),
    pairLoop,
    // What lies beyond the row is overwritten by the next one, or stands after the last.
    [...f.get('target'), ...f.get('column'), ...op.add],
    ...[result(0), result(1), i16x8.narrowS, result(2), result(3), i16x8.narrowS, i8x16.narrowU],
    v128.store(),
    f.advance('column', op.const(16)),
    f.get('column'),
    f.get('line'),
    op.lessThan,
  );
  f.body = [
    f.set('halves', op.const(half), i32x4.splat),
    op.loop(
      f.set('column', op.const(0)),
      chunkLoop,
      f.advance('target', f.get('line')),
      f.advance('table', f.get('record')),
      f.get('table'),
      f.get('tableEnd'),
      op.lessThan,
    ),
  ].flat();
  return f;
}

export const resizeProgram = (): Uint8Array => assemble([horizontal(), vertical()]);
