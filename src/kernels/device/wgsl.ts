import type { TextureFormat } from './allocation.ts';
import { shaderLibrary } from './shader-library.ts';

/**
 * The four things WGSL lacks that hand-tuned kernels need, kept so small that every shader file stays readable.
 *
 * 1. Including. `//@include "lib_philox.wgsl"` stands for that file of shaders/ (see `shaderLibrary`), so that a shader
 *    says itself what it is made of. A file is included once, wherever it is named again.
 * 2. Specialization. A shader declares its tunables as ordinary constants with a default,
 *    `const ROWS = 4u;` or `alias Element = f32;`, and a launcher replaces the value. Unlike pipeline overrides, the
 *    constants may also size private arrays and choose types.
 * 3. Choosing. `//@if BIAS` … `//@else` … `//@end` keeps the first lines where the constant is not 0, else the others:
 *    a kernel without a bias then has no binding for one. `//@if MASK == TREE` compares with a number or another constant.
 * 4. Unrolling. `//@for r in 0..ROWS` … `//@end` repeats the lines between, with `$r` replaced by the number;
 *    `//@for r in 0..ROWS, c in 0..4` is a loop within a loop.
 *    Registers have no index at run time: an accumulator array that must live in registers is written this way, and
 *    subgroupBroadcast takes only constant lanes. Bounds are numbers or integer constants; loops nest.
 *
 * Two more say nothing to the device, and stand at the end of the header: `//@work 3 * size operations, 8 * size bytes` is what a
 * dispatch does at least, for roofs and estimates (`workOf` reads it), and `//@budget registers 32, shared 0` what a GPU's
 * compiler may take for the kernel (bench/gpu-compilers/budget.ts reads it). Branches choose them as they choose code.
 *
 * What WGSL wants first (`enable`, `diagnostic`) may stand anywhere, also in a branch, and is moved to the top.
 */
export type Constants = Readonly<Record<string, number | string>>;

/** `source` with every file it includes in its place. */
export function resolveIncludes(source: string): string {
  const included = new Set<string>();
  const resolve = (text: string): string =>
    text.replace(/^[ \t]*\/\/@include "([^"]*)".*$/gm, (_, name: string) => {
      if (included.has(name)) return '';
      included.add(name);
      const file = shaderLibrary.get(name);
      if (file === undefined)
        throw new Error(`there is no ${name} to include; there are: ${[...shaderLibrary.keys()].join(', ')}`);
      return resolve(file);
    });
  return resolve(source);
}

/** The WGSL of `source`: files included, constants replaced, branches chosen, loops unrolled; throws on a constant the shader lacks. */
export function specialize(source: string, constants: Constants = {}): string {
  let text = resolveIncludes(source);
  let half = false;
  for (const [name, value] of Object.entries(constants)) {
    // Everywhere: the branches of an //@if may each declare it.
    const pattern = new RegExp(`^(const ${name}(?:: *\\w+)? *= *|alias ${name} *= *)([^;]+);`, 'gm');
    let found = false;
    text = text.replace(pattern, (_, declaration: string, standard: string) => {
      found = true;
      return `${declaration}${typeof value === 'number' && /u$/.test(standard) ? `${value}u` : value};`;
    });
    if (!found) throw new Error(`the shader declares no constant or alias named ${name}`);
    half ||= value === 'f16';
  }
  if (text.includes('//@')) text = expand(text);
  return directivesFirst(half ? `enable f16;\n${text}` : text);
}

/** WGSL's own directives before everything else, each once. */
function directivesFirst(text: string): string {
  const directives = new Set<string>();
  const rest = text.replace(/^(?:enable|requires|diagnostic)\b[^;]*;.*\n?/gm, (line) => {
    directives.add(line.trimEnd());
    return '';
  });
  return directives.size === 0 ? text : `${[...directives].join('\n')}\n${rest}`;
}

/** The integer constants that a shader declares. */
function constantsOf(text: string): Map<string, string> {
  const declared = new Map<string, string>();
  for (const m of text.matchAll(/^const (\w+)(?:: *\w+)? *= *([^;]+);/gm)) declared.set(m[1]!, m[2]!);
  return declared;
}

/** The value of a number, or of one of the shader's integer constants. */
export const integerConstant = (text: string, word: string): number => integer(word, constantsOf(text));

function expand(text: string): string {
  const declared = constantsOf(text);
  const lines = text.split('\n');
  const between = (from: number, to: number): string[] => {
    const out: string[] = [];
    for (let i = from; i < to; i++) {
      const directive = /^\s*\/\/@(for|if) (.+?)\s*$/.exec(lines[i]!);
      if (!directive) {
        if (/^\s*\/\/@(?!work |budget )/.test(lines[i]!))
          throw new Error(`${lines[i]!.trim()} is out of place`);
        out.push(lines[i]!);
        continue;
      }
      const [, kind, rest] = directive as unknown as [string, string, string];
      const { otherwise, end } = blockOf(lines, i, to);
      if (kind === 'if')
        out.push(
          ...(holds(rest) ? between(i + 1, otherwise ?? end) : between((otherwise ?? end - 1) + 1, end)),
        );
      else {
        const loops = rest.split(/,\s*/).map((loop) => {
          const [, variable, first, last] = /^(\w+) in (\w+)\.\.(\w+)$/.exec(loop) ?? [];
          if (!variable || !first || !last || otherwise !== undefined)
            throw new Error(`${lines[i]!.trim()} is not a loop`);
          const pattern = new RegExp(`\\$${variable}(?![A-Za-z]{2})`, 'g');
          return { pattern, first: integer(first, declared), last: integer(last, declared) };
        });
        const unroll = ([loop, ...inner]: typeof loops, block: string): void => {
          if (!loop) out.push(block);
          else
            for (let n = loop.first; n < loop.last; n++)
              unroll(inner, block.replace(loop.pattern, String(n)));
        };
        unroll(loops, between(i + 1, end).join('\n'));
      }
      i = end;
    }
    return out;
  };
  const holds = (condition: string): boolean => {
    const [left, operator, right] = condition.split(/\s+/);
    const value = integer(left!, declared);
    if (operator === undefined) return value !== 0;
    if ((operator !== '==' && operator !== '!=') || right === undefined)
      throw new Error(`//@if ${condition}: conditions are NAME, NAME == VALUE or NAME != VALUE`);
    return (value === integer(right, declared)) === (operator === '==');
  };
  return between(0, lines.length).join('\n');
}

/** The value of a number, or of an integer constant: `4u`, another constant, or two of either with an operator between. */
function integer(word: string, declared: ReadonlyMap<string, string>): number {
  if (/^\d+u?$/.test(word)) return Number.parseInt(word, 10);
  const found = /^(\w+)(?: *([-+*/]) *(\w+))?$/.exec(declared.get(word) ?? '');
  if (!found) throw new Error(`${word} is neither a number nor an integer constant`);
  const left = integer(found[1]!, declared);
  if (found[2] === undefined) return left;
  const right = integer(found[3]!, declared);
  switch (found[2]) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    default:
      return Math.floor(left / right);
  }
}

/** Where the block opened on line `from` has its `//@else`, if any, and its `//@end`. */
function blockOf(
  lines: readonly string[],
  from: number,
  to: number,
): { otherwise: number | undefined; end: number } {
  let depth = 0;
  let otherwise: number | undefined;
  for (let i = from; i < to; i++) {
    if (/^\s*\/\/@(for|if) /.test(lines[i]!)) depth++;
    else if (depth === 1 && otherwise === undefined && /^\s*\/\/@else\s*$/.test(lines[i]!)) otherwise = i;
    else if (/^\s*\/\/@end\s*$/.test(lines[i]!) && --depth === 0) return { otherwise, end: i };
  }
  throw new Error(`${lines[from]!.trim()} has no //@end`);
}

export interface BindingDeclaration {
  readonly binding: number;
  /** `read-texture` and `write-texture`: a storage texture of vec4f. */
  readonly type: GPUBufferBindingType | 'read-texture' | 'write-texture';
  /** Of a texture. */
  readonly format?: TextureFormat;
}

/** The storage a shader declares in group 0, read from its text, so that a kernel is declared in one place only. */
export function bindingsOf(source: string): BindingDeclaration[] {
  const found: BindingDeclaration[] = [];
  for (const m of source.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<(\w+)(?:\s*,\s*(\w+))?>/g)) {
    const type = m[2] === 'uniform' ? 'uniform' : m[3] === 'read_write' ? 'storage' : 'read-only-storage';
    found.push({ binding: Number(m[1]), type });
  }
  const textures = /@group\(0\)\s*@binding\((\d+)\)\s*var \w+: texture_storage_2d<(\w+),\s*(read|write)>/g;
  for (const m of source.matchAll(textures)) {
    const type = m[3] === 'read' ? 'read-texture' : 'write-texture';
    found.push({ binding: Number(m[1]), type, format: m[2] as TextureFormat });
  }
  return found.sort((a, b) => a.binding - b.binding);
}
