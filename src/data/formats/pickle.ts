import { PickleMachine, type PickleOptions } from './pickle-machine.ts';
import type { PickleValue } from './pickle-values.ts';

export { PickleTruncated } from './pickle-machine.ts';

/**
 * Reads one pickle of protocol 0 to 5 (opcodes as documented in CPython's `pickletools`). Nothing is ever executed:
 * a name is looked up among Python's containers and in `options.global`, and any other one is a `UserError` that
 * names it.
 *
 * @returns the value, and the offset behind the pickle
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions): { value: PickleValue; end: number } {
  const machine = new PickleMachine(bytes, options);
  try {
    return { value: run(machine), end: machine.position };
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) {
      throw machine.malformed(error.message);
    }
    throw error;
  }
}

function run(machine: PickleMachine): PickleValue {
  for (;;) {
    machine.budget.step();
    const opcode = String.fromCharCode(machine.uint8());
    if (opcode === '.') return machine.pop();
    const step = Object.hasOwn(opcodes, opcode) ? opcodes[opcode] : undefined;
    if (!step) throw machine.malformed(`opcode 0x${opcode.charCodeAt(0).toString(16)} is unknown`);
    step(machine);
  }
}

/** Python's raw-unicode-escape: Latin-1 with \uXXXX and \\UXXXXXXXX. */
function unescapeText(text: string): string {
  return text.replace(/\\u([0-9a-f]{4})|\\U([0-9a-f]{8})/g, (_, short, long) =>
    String.fromCodePoint(parseInt(short ?? long, 16)),
  );
}

/** Python's repr of a float. */
function parseFloating(machine: PickleMachine, text: string): number {
  const value = Number(text.replace('inf', 'Infinity'));
  if (text.trim() === '' || (Number.isNaN(value) && !/^[+-]?nan$/i.test(text)))
    throw machine.malformed('a float is malformed');
  return value;
}

/** An empty list, which also stands for a tuple. */
function emptyList(machine: PickleMachine): void {
  machine.budget.container('list', 0);
  machine.push([]);
}

function popped(machine: PickleMachine, count: number): PickleValue[] {
  machine.budget.container('list', count);
  return machine.popMany(count);
}

function hashed(machine: PickleMachine, items: number, make: () => PickleValue): void {
  machine.budget.container('hash', items);
  machine.push(make());
}

const opcodes: Readonly<Record<string, (machine: PickleMachine) => void>> = {
  '\x80': (m) => {
    const protocol = m.uint8();
    if (protocol > 5) throw m.malformed(`protocol ${protocol} is not supported`);
  },
  '\x95': (m) => m.skip(8),
  '(': (m) => m.pushMark(),
  '0': (m) => m.discard(),
  '1': (m) => m.popMark(),
  '2': (m) => m.push(m.top()),

  N: (m) => m.push(null),
  '\x88': (m) => m.push(true),
  '\x89': (m) => m.push(false),
  K: (m) => m.push(m.uint8()),
  M: (m) => m.push(m.uint16()),
  J: (m) => m.push(m.int32()),
  '\x8a': (m) => m.push(m.long(m.uint8())),
  '\x8b': (m) => m.push(m.long(m.uint32())),
  I: (m) => {
    const text = m.line();
    m.push(text === '00' || text === '01' ? text === '01' : m.decimal(text));
  },
  L: (m) => m.push(m.decimal(m.line())),
  F: (m) => m.push(parseFloating(m, m.line())),
  G: (m) => m.push(m.float64()),

  X: (m) => m.push(m.text(m.uint32())),
  '\x8c': (m) => m.push(m.text(m.uint8())),
  '\x8d': (m) => m.push(m.text(m.uint64())),
  V: (m) => m.push(unescapeText(m.line('latin1'))),
  S: (m) => m.push(m.line().replace(/^(['"])(.*)\1$/, '$2')),
  U: (m) => m.push(m.text(m.uint8(), 'latin1')),
  T: (m) => m.push(m.text(m.uint32(), 'latin1')),
  C: (m) => m.push(m.slice(m.uint8())),
  B: (m) => m.push(m.slice(m.uint32())),
  '\x8e': (m) => m.push(m.slice(m.uint64())),
  '\x96': (m) => m.push(m.slice(m.uint64())),

  ')': emptyList,
  ']': emptyList,
  t: (m) => m.push(m.popMark()),
  l: (m) => m.push(m.popMark()),
  '\x85': (m) => m.push(popped(m, 1)),
  '\x86': (m) => m.push(popped(m, 2)),
  '\x87': (m) => m.push(popped(m, 3)),
  '}': (m) => hashed(m, 0, () => new Map()),
  d: (m) => {
    const items = m.popMark();
    hashed(m, 0, () => new Map());
    m.setItems(items);
  },
  '\x8f': (m) => hashed(m, 0, () => new Set()),
  '\x91': (m) => {
    const items = m.popMark();
    hashed(m, items.length, () => new Set(items));
  },
  a: (m) => m.append([m.pop()]),
  e: (m) => m.append(m.popMark()),
  '\x90': (m) => m.append(m.popMark()),
  s: (m) => m.setItems(m.popMany(2)),
  u: (m) => m.setItems(m.popMark()),

  p: (m) => m.put(Number(m.line())),
  q: (m) => m.put(m.uint8()),
  r: (m) => m.put(m.uint32()),
  '\x94': (m) => m.memoize(),
  g: (m) => m.get(Number(m.line())),
  h: (m) => m.get(m.uint8()),
  j: (m) => m.get(m.uint32()),

  c: (m) => m.global(m.line(), m.line()),
  '\x93': (m) => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  P: (m) => m.persistent(m.line()),
  Q: (m) => m.persistent(m.pop()),
  R: reduce,
  '\x81': reduce,
  '\x92': (m) => {
    m.pop(); // Keyword arguments.
    reduce(m);
  },
  o: (m) => {
    const [type, ...args] = m.popMark();
    m.call(type ?? null, args);
  },
  i: (m) => {
    m.global(m.line(), m.line());
    const type = m.pop();
    m.call(type, m.popMark());
  },
  b: (m) => m.build(),
};

function reduce(machine: PickleMachine): void {
  const args = machine.pop();
  machine.call(machine.pop(), args);
}
