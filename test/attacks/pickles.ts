import { type Attack, fileAttack } from './attack.ts';
import {
  deflatedEntry,
  doubled,
  forgeZip,
  pickled,
  pickledDict,
  pickledInteger,
  pickledTensor,
  runEntry,
  storedEntry,
  torchFile,
} from './forge.ts';

const mebi = 2 ** 20;
const command = ['weights', '--info'];
const steps = /its pickle takes too many steps, more than the limit of/;
const memory = /the values of its pickle take too many bytes, more than the limit of/;

const pickleAttack = (
  name: string,
  once: string,
  pickle: () => string | Buffer,
  message: RegExp,
  more: Partial<Attack> = {},
): Attack =>
  fileAttack('attack.pt', {
    name,
    once,
    reader: 'tensors',
    bytes: () => torchFile(pickle()),
    message,
    ...more,
  });

/** A data.pkl of blocks of one opcode, deflated to next to nothing; it needs no end. */
const opcodeRun = (opcode: string, blocks: number) => () =>
  forgeZip([runEntry('x/data.pkl', opcode.charCodeAt(0), blocks)]);

const listOfMany = (items: number) => `(${'N'.repeat(items)}lq\x00`;
const call = (module: string, name: string, argument: string) => `c${module}\n${name}\n(${argument}tR0`;
const legacy = (system: string, keys: string) =>
  `\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.${system}${keys}`;

/** Python's pickles, PyTorch's first of all. */
export const pickleAttacks: readonly Attack[] = [
  pickleAttack(
    'a class named by lists of lists',
    '490 bytes: String() of 2^40 items, no end',
    () => `\x80\x04${doubled('N', 40)}h\x27\x93.`,
    /class name is not a string/,
    { command },
  ),
  pickleAttack(
    'a device named by lists of lists',
    '490 bytes: the same in torch.device',
    () => `\x80\x02ctorch\ndevice\n(${doubled('N', 40)}tR.`,
    /a list of 2 is not a string/,
  ),
  pickleAttack(
    'a size of lists of lists',
    'the message that refused it spelled it out, without end',
    () =>
      `\x80\x02}(${pickled('w')}ctorch._utils\n_rebuild_tensor_v2\n((${pickled('storage')}ctorch\nFloatStorage\n${pickled('0')}${pickled('cpu')}${doubled('N', 40)}tQK\x00(K\x01t(K\x01t\x89}tRu.`,
    /a list of 2 is not a size/,
  ),
  pickleAttack(
    'metadata named by lists of lists',
    'String() of the keys beside a state dict, no end',
    () => `\x80\x02}(${pickled('w')}${pickledTensor('0', 1, [1], [1])}${doubled('N', 40)}K\x01u.`,
    /is in storage 0, which the file does not contain/,
  ),
  fileAttack('attack.pt', {
    name: 'the old format with a version of lists of lists',
    once: 'String() of it in the message, no end',
    reader: 'tensors',
    bytes: () =>
      Buffer.from(
        `\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02${doubled('N', 40)}.`,
        'latin1',
      ),
    message: /has version a list of 2 of the old format/,
  }),
  fileAttack('attack.pt', {
    name: 'the old format with keys of lists of lists',
    once: 'String() of each key, no end',
    reader: 'tensors',
    bytes: () => Buffer.from(legacy('\x80\x02}.', `\x80\x02(${doubled('N', 40)}l.`), 'latin1'),
    message: /stores a list of 2, which nothing references/,
  }),
  pickleAttack(
    'a list copied again and again',
    '1,188 bytes: 3.7 GB and rising after 100 s',
    () => `\x80\x02${listOfMany(100_000)}0${call('builtins', 'list', 'h\x00').repeat(20_000)}N.`,
    steps,
    { command },
  ),
  pickleAttack(
    'a dict copied again and again',
    'the same, at ten times the memory an item',
    () =>
      `\x80\x02}(${Array.from({ length: 50_000 }, (_, i) => `${pickledInteger(i)}N`).join('')}uq\x000${call('collections', 'OrderedDict', 'h\x00').repeat(20_000)}N.`,
    memory,
  ),
  pickleAttack(
    'a set copied again and again',
    'the same',
    () =>
      `\x80\x02(${Array.from({ length: 50_000 }, (_, i) => pickledInteger(i)).join('')}lq\x000${call('builtins', 'frozenset', 'h\x00').repeat(20_000)}N.`,
    memory,
  ),
  ...(
    [
      [')', '3.6 GB and rising after 100 s', memory],
      ['}', '2.0 GB and rising after 100 s', memory],
      ['\x8f', 'a set each, as the dicts', memory],
      ['(', 'a stack of 120 million marks', steps],
      ['N', 'a stack of 120 million values', steps],
    ] as const
  ).map(([opcode, once, message]) =>
    fileAttack('attack.pt', {
      name: `48 MB of ${JSON.stringify(opcode)}, deflated`,
      once: `120 MB of it: ${once}`,
      reader: 'tensors',
      bytes: opcodeRun(opcode, 3),
      message,
    }),
  ),
  ...(
    [
      ['N0', steps],
      ['C\x00', memory],
    ] as const
  ).map(([opcodes, message]) =>
    fileAttack('attack.pkl', {
      name: `12 million of ${JSON.stringify(opcodes)}`,
      once: 'as long as the file, each a heavy object',
      reader: 'pickle',
      bytes: () => Buffer.alloc(12 * mebi * opcodes.length, opcodes, 'latin1'),
      message,
    }),
  ),
  ...(['L', 'I'] as const).map((opcode) =>
    pickleAttack(
      `an integer of 30 million digits (${opcode})`,
      '29,304 bytes deflated: no end, the conversion is quadratic',
      () => `\x80\x02${opcode}${'9'.repeat(30_000_000)}\n.`,
      /an integer of 30,000,000 digits, more than the limit of/,
    ),
  ),
  pickleAttack(
    'names joined over a hundred levels of dicts',
    'each of a million entries made a name of 100 MB',
    () =>
      `\x80\x02${pickled('k'.repeat(mebi))}q\x000N${Array.from({ length: 90 }, () => '0}(h\x00N').join('')}${'u'.repeat(90)}.`,
    /not a valid pickle|a name has [\d,]+ characters, more than the limit of/,
  ),
  pickleAttack(
    'a tensor of a million dimensions',
    'as long a text on the terminal',
    () =>
      pickledDict({
        w: pickledTensor('0', 1, Array<number>(1_000_000).fill(1), Array<number>(1_000_000).fill(1)),
      }),
    /a tensor has 1000000 dimensions, beyond the limit of 64/,
  ),
  pickleAttack(
    'a tensor that is rebuilt by its own rebuilding',
    'recursion until the stack ends',
    () =>
      `\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN]q\x00(ctorch._tensor\n_rebuild_from_type_v2\nNh\x00etR.`,
    /a tensor is rebuilt by "torch\._tensor\._rebuild_from_type_v2"/,
  ),
  fileAttack('attack.pt', {
    name: 'ten thousand tensors that repeat one storage',
    once: 'reading all took the time of 600 GB',
    reader: 'tensors',
    bytes: () =>
      forgeZip([
        deflatedEntry(
          'x/data.pkl',
          Buffer.from(
            pickledDict(
              Object.fromEntries(
                Array.from({ length: 10_000 }, (_, i) => [`w${i}`, pickledTensor('0', 1, [2 ** 24], [0])]),
              ),
            ),
            'latin1',
          ),
        ),
        storedEntry('x/data/0', Buffer.alloc(4)),
      ]),
    message: /its tensors take 671,088,640,000 bytes, although it stores 4, more than the limit of/,
  }),
  fileAttack('attack.pt', {
    name: 'a tensor of a thousand million elements in a storage of one',
    once: 'was held to 67 million elements, of any size',
    reader: 'tensors',
    bytes: () =>
      torchFile(pickledDict({ w: pickledTensor('0', 1, [2 ** 30], [0]) }), [
        storedEntry('x/data/0', Buffer.alloc(4)),
      ]),
    message: /tensor w of shape \[1073741824\] takes 4,294,967,296 bytes, more than the limit of/,
  }),
];
