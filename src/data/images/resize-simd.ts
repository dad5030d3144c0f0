import type { RgbImage } from './decode.ts';
import { pairBytes, recordHead, resizeProgram, rowsPerTurn } from './resize-program.ts';
import { type Box, type ResizeWeights, weightsFor } from './resize-weights.ts';

/** As much of WebAssembly's interface as is used: Node's types leave it out. */
interface Wasm {
  validate(bytes: Uint8Array): boolean;
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

interface Program {
  horizontal(
    ...args: [
      ...[source: number, sourceStride: number, turns: number, table: number, tableEnd: number],
      ...[record: number, target: number, targetStride: number],
    ]
  ): void;
  vertical(
    ...args: [
      ...[source: number, stride: number, table: number, tableEnd: number],
      ...[record: number, target: number, line: number],
    ]
  ): void;
}

/** Rows of the source that are copied into the program's memory at once. */
const bandRows = 16 * rowsPerTurn;
/** What vector loads and stores may reach beyond the last byte. */
const slack = 64;
const pageBytes = 65536;

const aligned = (bytes: number) => Math.ceil(bytes / 16) * 16;

/** The instance of this thread; null where there is no WebAssembly with vectors, or a page's policy forbids it. */
let resizer: SimdResizer | null | undefined;

/** Resizes with vectors, where this machine has them. */
export function simdResizer(): SimdResizer | null {
  if (resizer === undefined) {
    const { WebAssembly: wasm } = globalThis as { WebAssembly?: Wasm };
    const program = resizeProgram();
    try {
      resizer = wasm?.validate(program) ? new SimdResizer(wasm, program) : null;
    } catch {
      resizer = null;
    }
  }
  return resizer;
}

class SimdResizer {
  readonly #memory: InstanceType<Wasm['Memory']>;
  readonly #program: Program;

  constructor(wasm: Wasm, program: Uint8Array) {
    this.#memory = new wasm.Memory({ initial: 1 });
    const instance = new wasm.Instance(new wasm.Module(program), { env: { memory: this.#memory } });
    this.#program = instance.exports as Program;
  }

  /** As {@link resizeBicubic}. */
  resize(image: RgbImage, source: Box, width: number, height: number, window: Box): Uint8Array {
    const horizontal = weightsFor(source.width, width);
    const vertical = weightsFor(source.height, height);
    const line = window.width * 3;
    // Pixels are stored four bytes at a time, and rows after the last may be read, with a weight of 0.
    const stride = aligned(line + 4);
    const fromRow = vertical.first[window.top]!;
    const rows = endOf(vertical, window.top + window.height - 1) - fromRow;
    const fromColumn = horizontal.first[window.left]!;
    const columns = endOf(horizontal, window.left + window.width - 1) - fromColumn;
    const sourceStride = columns * 3;

    const byColumns = tableOf(horizontal, window.left, window.width, fromColumn, 3);
    const byRows = tableOf(vertical, window.top, window.height, fromRow, stride);
    const columnTable = 0;
    const rowTable = columnTable + aligned(byColumns.words.byteLength);
    const between = rowTable + aligned(byRows.words.byteLength);
    const result = between + (aligned(rows) + rowsPerTurn + 1) * stride + slack;
    const band = result + aligned(window.height * line + slack);
    const memory = this.#reserve(band + bandRows * sourceStride + slack);
    new Int32Array(memory.buffer, columnTable, byColumns.words.length).set(byColumns.words);
    new Int32Array(memory.buffer, rowTable, byRows.words.length).set(byRows.words);

    for (let row = 0; row < rows; row += bandRows) {
      const count = Math.min(bandRows, rows - row);
      const top = source.top + fromRow + row;
      for (let i = 0; i < count; i++) {
        const from = ((top + i) * image.width + source.left + fromColumn) * 3;
        memory.set(image.data.subarray(from, from + sourceStride), band + i * sourceStride);
      }
      this.#program.horizontal(
        ...([band, sourceStride, Math.ceil(count / rowsPerTurn), columnTable] as const),
        ...([byColumns.end(columnTable), byColumns.record, between + row * stride, stride] as const),
      );
    }
    this.#program.vertical(
      ...([between, stride, rowTable, byRows.end(rowTable), byRows.record, result, line] as const),
    );
    return memory.slice(result, result + window.height * line);
  }

  #reserve(bytes: number): Uint8Array<ArrayBuffer> {
    const missing = bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    return new Uint8Array(this.#memory.buffer);
  }
}

/** One after the last input position of an output position. */
const endOf = ({ first, taps }: ResizeWeights, i: number) => first[i]! + taps[i]!;

/** The program's table for `count` output positions from `from` on; input positions count from `base`, each of `bytes` bytes. */
function tableOf(weights: ResizeWeights, from: number, count: number, base: number, bytes: number) {
  const { first, taps, stride, weight } = weights;
  const record = recordHead + pairBytes * Math.ceil(stride / 2);
  const words = new Int32Array((count * record) / 4);
  for (let i = 0; i < count; i++) {
    const at = (i * record) / 4;
    const position = from + i;
    const most = taps[position]!;
    const pairs = Math.ceil(most / 2);
    words[at] = (first[position]! - base) * bytes;
    words[at + 1] = pairs;
    for (let pair = 0; pair < pairs; pair++) {
      const w0 = weight[position * stride + 2 * pair]!;
      const w1 = 2 * pair + 1 < most ? weight[position * stride + 2 * pair + 1]! : 0;
      words[at + 2 + 2 * pair] = (w0 & 0xfff) | ((w1 & 0xfff) << 16);
      words[at + 3 + 2 * pair] = ((w0 >> 12) & 0xffff) | ((w1 >> 12) << 16);
    }
  }
  return { words, record, end: (table: number) => table + count * record };
}
