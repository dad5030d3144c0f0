import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readPickle } from '../src/data/formats/pickle.ts';
import { PickleObject, recordClass } from '../src/data/formats/pickle-values.ts';

const pickles: Record<string, string> = JSON.parse(
  readFileSync(new URL('./fixtures/pickle/pickles.json', import.meta.url), 'utf8'),
);
const bytes = (name: string) => new Uint8Array(Buffer.from(pickles[name]!, 'base64'));
const ascii = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const path = 'weights.pt';

test.each([0, 1, 2, 3, 4, 5])('what CPython writes in protocol %i', (protocol) => {
  const data = bytes(`protocol${protocol}`);
  const { value, end } = readPickle(data, { path });
  expect(end).toBe(data.length);
  const again = (value as Map<string, number[][]>).get('again')!;
  expect(again[0]).toBe(again[1]);
  expect(value).toEqual(
    new Map<string, unknown>([
      ['none', null],
      ['flags', [true, false]],
      ['small', 7],
      ['word', 300],
      ['int', -70000],
      ['long', 2 ** 40],
      ['huge', -(2n ** 70n)],
      ['float', 0.1],
      ['inf', Number.NEGATIVE_INFINITY],
      ['text', 'naïve 😀\n'],
      ['bytes', Uint8Array.of(0, 255)],
      ['tuple', [1, [2, 3, 4], []]],
      ['ordered', new Map(Object.entries({ b: 1, a: 2 }))],
      ['default', new Map([['k', 'v']])],
      ['set', new Set([5])],
      ['again', [[1], [1]]],
    ]),
  );
});

test.each([0, 2, 4])('nothing is called: protocol %i', (protocol) => {
  const refused = (name: string) => () => readPickle(bytes(`${name} ${protocol}`), { path });
  expect(refused('os.system')).toThrow(/weights\.pt: refers to (posix|nt)\.system/);
  expect(refused('eval')).toThrow(/(__builtin__|builtins)\.eval/);
  expect(refused('getattr')).toThrow(/(__builtin__|builtins)\.getattr/);
});

test.each([
  ['INST', '(S"id"\nios\nsystem\n.', /os\.system/],
  ['OBJ', '(cos\nsystem\nS"id"\no.', /os\.system/],
  ['STACK_GLOBAL', '\x80\x04\x8c\x02os\x8c\x06system\x93.', /os\.system/],
  ['a method by a dotted name', '\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.', /__init__/],
  ['a prototype name', 'cbuiltins\nconstructor\n.', /builtins\.constructor/],
  ['calling a text', '\x80\x02X\x02\0\0\0id)R.', /not a class/],
  ['calling what is only mentioned', '\x80\x02c__builtin__\nint\n)R.', /__builtin__\.int is called/],
  ['an extension code', '\x80\x02\x82\x01.', /opcode 0x82/],
  ['protocol 6', '\x80\x06N.', /protocol 6/],
  ['an empty stack', '\x80\x02.', /stack is empty/],
  ['a missing mark', '\x80\x02Nt.', /mark is missing/],
  ['an unset memo', '\x80\x02h\x05.', /memo 5/],
  ['an odd number of items', '\x80\x02}(Nu.', /not a dict/],
  ['items on a number', '\x80\x02K\x01Na.', /not a list/],
  ['a state on a list', '\x80\x02]}b.', /state/],
  ['a persistent id', '\x80\x02X\x01\0\0\0aQ.', /outside/],
  ['an endless integer', `\x80\x02\x8b\xff\0\0\0${'\0'.repeat(255)}.`, /integer of 255 bytes/],
  ['an integer that is none', 'Iabc\n.', /not a valid pickle/],
])('refused: %s', (_, text, message) => {
  const attempt = () => readPickle(ascii(text), { path });
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(expect.objectContaining({ name: 'UserError' }));
});

test('cut off anywhere, it is reported as cut off', () => {
  const whole = bytes('protocol2');
  for (let length = 0; length < whole.length; length++) {
    expect(() => readPickle(whole.subarray(0, length), { path })).toThrow(/cut off at byte/);
  }
  const huge = ascii('\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.');
  expect(() => readPickle(huge, { path })).toThrow(/cut off/);
});

test('objects of allowed classes become records; persistent ids are handed over', () => {
  const text = '\x80\x02cm\nThing\n)\x81}X\x01\0\0\0aX\x01\0\0\0kQsb.';
  const { value } = readPickle(ascii(text), {
    path,
    global: (module, name) => (module === 'm' ? recordClass(`${module}.${name}`) : undefined),
    persistent: (id) => [id, id],
  });
  expect(value).toBeInstanceOf(PickleObject);
  expect(value).toMatchObject({ className: 'm.Thing', state: new Map([['a', ['k', 'k']]]) });
});
