import type { ParamLayout } from './params.ts';

/** What a dispatch does at least: counted from its shapes, not measured. */
export interface Work {
  /** Of floating point: a multiply-add is two, an exponential, a root or a division one. */
  readonly operations: number;
  /** Least traffic: each word that is read or written once. */
  readonly bytes: number;
}

/** The work of a dispatch, from the numbers of its uniform block, in order, and its workgroup counts. */
export type WorkOf = (params: readonly number[], groups: readonly [number, number, number]) => Work;

/** Sizes of a kernel whose work is kept. */
const mostKnown = 8;

type Value = (params: readonly number[], groups: readonly [number, number, number]) => number;
type Names = (name: string) => Value;

/**
 * A shader's work as its header says it: `//@work 2 * m * n * k * z operations, 4 * z * (m * k + k * n + m * n) bytes`. Several such
 * lines add up. What stands in them are the fields of the uniform block, the shader's constants, the workgroup counts x, y and z,
 * numbers, + - * / == != (1 where it holds, else 0), parentheses, min() and max().
 * Masks of attention are counted as if each row saw all rows before it, of which a prefix tree hides some more.
 *
 * @param code the WGSL with its constants replaced
 * @returns null where the shader does not say
 */
export function workOf(code: string, params: ParamLayout | null): WorkOf | null {
  const lines = [...code.matchAll(/^[ \t]*\/\/@work (.+)$/gm)].map(([, text]) => text!.trim());
  if (lines.length === 0) return null;
  const names = namesOf(code, params);
  const amounts = { operations: [] as Value[], bytes: [] as Value[] };
  for (const text of lines) {
    // Commas part the amounts, except within min() and max().
    for (const amount of text.split(/(?<=\b(?:operations|bytes)\s*),/)) {
      const [, expression, unit] = /^(.+?)\s+(operations|bytes)$/.exec(amount.trim()) ?? [];
      if (!expression) throw new Error(`//@work ${text}: say EXPRESSION operations, EXPRESSION bytes`);
      amounts[unit as keyof Work].push(parse(expression, names));
    }
  }
  const { operations, bytes } = amounts;
  if (operations.length * bytes.length === 0)
    throw new Error(`//@work ${lines.join(', ')}: lacks operations or bytes`);
  const sum = (list: readonly Value[], ...of: Parameters<Value>) =>
    list.reduce((total, one) => total + one(...of), 0);
  // Asked for at every dispatch, and a model launches a kernel with a few sizes again and again.
  const known: {
    readonly values: readonly number[];
    readonly groups: readonly number[];
    readonly work: Work;
  }[] = [];
  let next = 0;
  return (values, groups) => {
    for (const one of known) if (same(values, one.values) && same(groups, one.groups)) return one.work;
    const work = { operations: sum(operations, values, groups), bytes: sum(bytes, values, groups) };
    known[next++ % mostKnown] = { values: [...values], groups: [...groups], work };
    return work;
  };
}

function same(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Fields of the uniform block, workgroup counts, and constants by their declarations. */
function namesOf(code: string, params: ParamLayout | null): Names {
  const fields = params?.fields.map(({ name }) => name) ?? [];
  const names: Names = (name) => {
    const field = fields.indexOf(name);
    if (field >= 0) return (values) => values[field]!;
    const axis = ['x', 'y', 'z'].indexOf(name);
    if (axis >= 0) return (_, groups) => groups[axis]!;
    const declared = new RegExp(`^const ${name}(?:: *\\w+)? *= *([^;]+);`, 'm').exec(code)?.[1];
    if (declared === undefined)
      throw new Error(`//@work: ${name} is no field of the uniform block, and no constant`);
    return parse(declared.replace(/\b(\d[\d.]*)[uif]\b/g, '$1'), names);
  };
  return names;
}

const operators: readonly Readonly<Record<string, (a: number, b: number) => number>>[] = [
  { '==': (a, b) => Number(a === b), '!=': (a, b) => Number(a !== b) },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': (a, b) => a / b },
];
const functions: Readonly<Record<string, (...values: number[]) => number>> = { min: Math.min, max: Math.max };

/** By recursive descent, a level for each rank of {@link operators}. */
function parse(text: string, names: Names): Value {
  const tokens = text.match(/\d+(?:\.\d+)?|\w+|[=!]=|\S/g) ?? [];
  let at = 0;
  const fail = () => new Error(`//@work ${text}: ${tokens[at] ?? 'its end'} is out of place`);
  const expect = (token: string) => {
    if (tokens[at] !== token) throw fail();
    at++;
  };
  const level = (rank: number): Value => {
    const ranked = operators[rank];
    if (!ranked) return factor();
    let left = level(rank + 1);
    for (let apply = ranked[tokens[at] ?? '']; apply; apply = ranked[tokens[at] ?? '']) {
      at++;
      const [a, f, b] = [left, apply, level(rank + 1)];
      left = (values, groups) => f(a(values, groups), b(values, groups));
    }
    return left;
  };
  const factor = (): Value => {
    const token = tokens[at] ?? '';
    if (!/^[\w(]/.test(token)) throw fail();
    at++;
    if (/^\d/.test(token)) return () => Number(token);
    const call = token === '(' ? undefined : functions[token];
    if (token !== '(' && !call) return names(token);
    if (call) expect('(');
    const inner = [level(0)];
    while (call && tokens[at] === ',') {
      at++;
      inner.push(level(0));
    }
    expect(')');
    if (!call) return inner[0]!;
    return (values, groups) => call(...inner.map((value) => value(values, groups)));
  };
  const value = level(0);
  if (at < tokens.length) throw fail();
  return value;
}
