import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { type ForgedEntry, forgeZip, storedEntry } from '../attacks/forge.ts';
import { clipFile, fixture, pickleFixture, pickleNames, torchEntries } from './bases.ts';
import { type ByteEdit, byteEdits, editBytes, inside, seldomEdited } from './byte-edits.ts';
import { editJson, type JsonEdit, jsonEdits } from './json-edits.ts';
import { disassemble, editOpcodes, type OpcodeEdit, opcode, opcodeEdit } from './pickle-programs.ts';
import { type Target, target } from './target.ts';

/** Writes one file into the folder. */
export function file(folder: string, name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

interface BytesPlan {
  readonly base: string;
  readonly edits: readonly ByteEdit[];
}

/** Bytes of whole files changed anywhere. */
export function bytesTarget(
  name: string,
  reader: Target['reader'],
  bases: readonly string[],
  read: (base: string) => Buffer | Promise<Buffer>,
): Target {
  return target<BytesPlan>({
    name,
    reader,
    plan: fc.record({ base: fc.constantFrom(...bases), edits: byteEdits() }),
    whole: { base: bases[0]!, edits: [] },
    write: async ({ base, edits }, folder) => file(folder, base, editBytes(await read(base), edits)),
  });
}

/** The header's text changed as JSON, its length right or off. */
const safetensorsHeader = target<{ edits: JsonEdit[]; off: number; bytes: ByteEdit[] }>({
  name: 'safetensors header',
  reader: 'clipWeights',
  whole: { edits: [], off: 0, bytes: [] },
  plan: fc.record({
    edits: jsonEdits(),
    off: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: -20, max: 20 })),
    bytes: seldomEdited(2, 5),
  }),
  write: async ({ edits, off, bytes }, folder) => {
    const whole = await clipFile();
    const length = Number(whole.readBigUInt64LE(0));
    const text = Buffer.from(editJson(JSON.parse(whole.toString('utf8', 8, 8 + length)), edits));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(Math.max(0, text.length + off)));
    const edited = editBytes(Buffer.concat([prefix, text, whole.subarray(8 + length)]), bytes);
    return file(folder, 'model.safetensors', edited);
  },
});

interface EntryEdit {
  readonly entry: number;
  readonly field: 'size' | 'crc' | 'name' | 'at' | 'deflate' | 'method' | 'repeat' | 'remove';
  readonly value: number;
}

const entryEdit: fc.Arbitrary<EntryEdit> = fc.record({
  entry: fc.nat(50),
  field: fc.constantFrom('size', 'crc', 'name', 'at', 'deflate', 'deflate', 'method', 'repeat', 'remove'),
  value: fc.oneof(fc.nat(70_000), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32 - 2)),
});

function editEntries(entries: readonly ForgedEntry[], edits: readonly EntryEdit[]): ForgedEntry[] {
  const result = [...entries];
  for (const { entry, field, value } of edits) {
    if (result.length === 0) break;
    const place = inside(entry, result.length);
    const old = result[place]!;
    if (field === 'remove') result.splice(place, 1);
    else if (field === 'repeat') result.push({ ...old, name: value % 2 ? old.name : `${old.name}${value}` });
    else if (field === 'deflate') result[place] = { ...old, packed: deflateRawSync(old.packed), method: 8 };
    else if (field === 'method') result[place] = { ...old, method: (value % 13) as 0 };
    else if (field === 'name') result[place] = { ...old, name: result[value % result.length]!.name };
    else result[place] = { ...old, [field]: value };
  }
  return result;
}

/** The directory of an archive changed entry by entry. */
const zipDirectory = target<{ edits: EntryEdit[]; zip64: boolean; count: number; bytes: ByteEdit[] }>({
  name: 'zip directory',
  reader: 'tensors',
  whole: { edits: [], zip64: true, count: 0, bytes: [] },
  plan: fc.record({
    edits: fc.array(entryEdit, { maxLength: 5 }),
    zip64: fc.boolean(),
    count: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: -3, max: 70_000 })),
    bytes: seldomEdited(3, 1),
  }),
  write: async ({ edits, zip64, count, bytes }, folder) => {
    const entries = editEntries(await torchEntries(), edits);
    const archive = forgeZip(entries, {
      zip64,
      count: Math.max(0, Math.min(65_535, entries.length + count)),
    });
    return file(folder, 'views.pt', editBytes(archive, bytes));
  },
});

/** Programs of opcodes by themselves, and those that CPython wrote, changed opcode by opcode. */
const picklePrograms = target<{ program: string[]; edits: OpcodeEdit[] }>({
  name: 'pickle programs',
  reader: 'pickle',
  whole: { program: ['N'], edits: [] },
  plan: fc.record({
    program: fc.array(opcode, { maxLength: 60 }),
    edits: fc.array(opcodeEdit, { maxLength: 4 }),
  }),
  write: ({ program, edits }, folder) =>
    file(folder, 'a.pkl', Buffer.from(`\x80\x02${editOpcodes(program, edits)}.`, 'latin1')),
});

const pickleOpcodes = target<{ base: (typeof pickleNames)[number]; edits: OpcodeEdit[] }>({
  name: 'pickle opcodes',
  reader: 'pickle',
  whole: { base: 'protocol2', edits: [] },
  plan: fc.record({
    base: fc.constantFrom(...pickleNames),
    edits: fc.array(opcodeEdit, { minLength: 1, maxLength: 6 }),
  }),
  write: ({ base, edits }, folder) =>
    file(folder, 'a.pkl', Buffer.from(editOpcodes(disassemble(pickleFixture(base)), edits), 'latin1')),
});

/** The pickle within an archive, changed opcode by opcode, around storages that are whole. */
const torchOpcodes = target<{ edits: OpcodeEdit[] }>({
  name: 'torch opcodes',
  reader: 'tensors',
  whole: { edits: [] },
  plan: fc.record({ edits: fc.array(opcodeEdit, { minLength: 1, maxLength: 5 }) }),
  write: async ({ edits }, folder) => {
    const entries = (await torchEntries()).map((entry) =>
      entry.name.endsWith('data.pkl')
        ? storedEntry(entry.name, Buffer.from(editOpcodes(disassemble(entry.packed), edits), 'latin1'))
        : entry,
    );
    return file(folder, 'views.pt', forgeZip(entries));
  },
});

const originalParts = ['prompt_learner', 'regression'] as const;

/** A results folder of the published trainer, its files changed, missing or of other names. */
const originalFolder = target<{ edits: Record<(typeof originalParts)[number], ByteEdit[]>; names: number }>({
  name: 'original folder',
  reader: 'original',
  whole: { edits: { prompt_learner: [], regression: [] }, names: 4 },
  plan: fc.record({
    edits: fc.record({
      prompt_learner: seldomEdited(4, 1),
      regression: seldomEdited(4, 1),
    }),
    names: fc.nat(20),
  }),
  write: ({ edits, names }, folder) => {
    const odd = [
      'model-best.pth.tar',
      'model.pth.tar-007',
      'model.pth.tar-1e9',
      'model.pth.tar-99999999999999',
    ];
    for (const [i, part] of originalParts.entries()) {
      const bytes = editBytes(fixture(`original-checkpoint/${part}/model.pth.tar-10`), edits[part]);
      if (names === 19 && i === 1) file(folder, part, bytes);
      else {
        mkdirSync(join(folder, part));
        if (names !== 18) file(join(folder, part), odd[names] ?? 'model.pth.tar-10', bytes);
      }
    }
    return folder;
  },
});

const torchFiles = ['views.pt', 'checkpoint.pt', 'script.pt', 'views-legacy.pt', 'checkpoint-legacy.pt'];

/** Weights and what carries them. */
export const weightsTargets: readonly Target[] = [
  bytesTarget('safetensors bytes', 'clipWeights', ['model.safetensors'], clipFile),
  safetensorsHeader,
  bytesTarget('torch bytes', 'tensors', torchFiles.slice(0, 3), (base) => fixture(`torch/${base}`)),
  bytesTarget('torch legacy bytes', 'tensors', torchFiles.slice(3), (base) => fixture(`torch/${base}`)),
  zipDirectory,
  torchOpcodes,
  picklePrograms,
  pickleOpcodes,
  originalFolder,
];
