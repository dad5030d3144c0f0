import type { TexelFormat } from './buffer-pool.ts';

/**
 * The three things WGSL lacks that hand-tuned kernels need, kept so small that every shader file stays readable.
 *
 * 1. Specialisation. A shader declares its tunables as ordinary constants with a default,
 *    `const ROWS = 4u;` or `alias Element = f32;`, and a launcher replaces the value. The file is valid WGSL as it
 *    stands (unlike pipeline overrides, the constants may also size private arrays and choose types).
 * 2. Unrolling. `//@for r in 0..ROWS` … `//@end` repeats the lines between, with `$r` replaced by the number.
 *    Registers have no index at run time: an accumulator array that must live in registers is written this way, and
 *    subgroupBroadcast takes only constant lanes. Bounds are numbers or specialised integer constants; loops nest.
 * 3. Leaving out. `//@if BIAS` … `//@end` keeps its lines only where the constant is not 0: a kernel without a bias then
 *    has no binding for one.
 */
export type Constants = Readonly<Record<string, number | string>>;

/** Returns `source` with its constants replaced and its loops unrolled; throws on a constant the shader lacks. */
export function specialize(source: string, constants: Constants = {}): string {
  let text = source;
  for (const [name, value] of Object.entries(constants)) {
    const pattern = new RegExp(`^(const ${name}(?:: *\\w+)? *= *|alias ${name} *= *)([^;]+);`, 'm');
    const found = pattern.exec(text);
    if (!found) throw new Error(`the shader declares no constant or alias named ${name}`);
    const written = typeof value === 'number' && /u$/.test(found[2]!) ? `${value}u` : String(value);
    text = text.replace(pattern, `$1${written};`);
    if (value === 'f16' && !/^enable f16;/m.test(text)) text = `enable f16;\n${text}`;
  }
  return text.includes('//@') ? expand(text) : text;
}

function expand(text: string): string {
  const integers = new Map<string, number>();
  for (const m of text.matchAll(/^const (\w+)(?:: *\w+)? *= *(\d+)u?;/gm)) integers.set(m[1]!, Number(m[2]));
  const value = (word: string): number => {
    const found = /^\d+$/.test(word) ? Number(word) : integers.get(word);
    if (found === undefined) throw new Error(`${word} is neither a number nor an integer constant`);
    return found;
  };
  const lines = text.split('\n');
  const between = (from: number, to: number): string[] => {
    const out: string[] = [];
    for (let i = from; i < to; i++) {
      const loop = /^\s*\/\/@for (\w+) in (\w+)\.\.(\w+)\s*$/.exec(lines[i]!);
      const condition = /^\s*\/\/@if (\w+)\s*$/.exec(lines[i]!);
      if (!loop && !condition) {
        out.push(lines[i]!);
        continue;
      }
      const end = endOf(lines, i, to);
      const body = between(i + 1, end);
      if (condition && value(condition[1]!) !== 0) out.push(...body);
      if (loop) {
        const variable = new RegExp(`\\$${loop[1]}(?![A-Za-z]{2})`, 'g');
        const block = body.join('\n');
        for (let n = value(loop[2]!); n < value(loop[3]!); n++) out.push(block.replace(variable, String(n)));
      }
      i = end;
    }
    return out;
  };
  return between(0, lines.length).join('\n');
}

/** The line of the `//@end` that closes the block opened on line `from`. */
function endOf(lines: readonly string[], from: number, to: number): number {
  let depth = 0;
  for (let i = from; i < to; i++) {
    if (/^\s*\/\/@(for|if) /.test(lines[i]!)) depth++;
    else if (/^\s*\/\/@end/.test(lines[i]!) && --depth === 0) return i;
  }
  throw new Error(`${lines[from]!.trim()} has no //@end`);
}

export interface BindingDeclaration {
  readonly binding: number;
  /** `read-texels` and `write-texels`: a storage texture of vec4f. */
  readonly type: GPUBufferBindingType | 'read-texels' | 'write-texels';
  /** Of texels. */
  readonly format?: TexelFormat;
}

/** The storage a shader declares in group 0, read from its text, so that a kernel is declared in one place only. */
export function bindingsOf(source: string): BindingDeclaration[] {
  const found: BindingDeclaration[] = [];
  for (const m of source.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<(\w+)(?:\s*,\s*(\w+))?>/g)) {
    const type = m[2] === 'uniform' ? 'uniform' : m[3] === 'read_write' ? 'storage' : 'read-only-storage';
    found.push({ binding: Number(m[1]), type });
  }
  const texels = /@group\(0\)\s*@binding\((\d+)\)\s*var \w+: texture_storage_2d<(\w+), (read|write)>/g;
  for (const m of source.matchAll(texels)) {
    const type = m[3] === 'read' ? 'read-texels' : 'write-texels';
    found.push({ binding: Number(m[1]), type, format: m[2] as TexelFormat });
  }
  return found.sort((a, b) => a.binding - b.binding);
}

/** The bits of a float32 as u32, to pass it in a kernel's parameter list. */
export function f32(value: number): number {
  bitsFloat[0] = value;
  return bitsWord[0]!;
}
const bitsFloat = new Float32Array(1);
const bitsWord = new Uint32Array(bitsFloat.buffer);
