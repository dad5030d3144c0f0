import fc from 'fast-check';
import { inside } from './byte-edits.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What JSON's parser takes and JSON.stringify does not write. */
interface Raw {
  readonly raw: string;
}

/** A change of one member of a document, found by its number in the order of the text. */
export interface JsonEdit {
  readonly member: number;
  readonly op: 'replace' | 'remove' | 'rename' | 'wrap' | 'repeat' | 'scale';
  readonly value: Json | Raw;
  readonly key: string;
}

const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  'length',
  '',
  '0',
  '-1',
  'a.b',
  '\u0000',
  '\u001b[2J',
];
const oddText = fc.oneof(
  fc.constantFrom(
    '',
    '..',
    '../../x',
    '/etc/passwd',
    '\u001b]0;x\u0007',
    '=1+1',
    'NaN',
    '0x10',
    '1e999',
    'null',
  ),
  fc.string({ maxLength: 12, unit: 'binary' }),
);
const oddNumber = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, 1e21, 1e300, -1e300, 1e-320),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -10, max: 300 }),
);
const raw: fc.Arbitrary<Raw> = fc
  .constantFrom(
    '1e999',
    '-1e999',
    '1E-9999',
    '123456789012345678901234567890',
    'NaN',
    '{',
    '"',
    `${'['.repeat(50)}${']'.repeat(50)}`,
    `${'['.repeat(3000)}${']'.repeat(3000)}`,
    `{"a":${'{"a":'.repeat(99)}1${'}'.repeat(100)}`,
    `"${'x'.repeat(5000)}"`,
    `[${'0,'.repeat(3000)}0]`,
  )
  .map((text) => ({ raw: text }));
const oddValue: fc.Arbitrary<Json | Raw> = fc.oneof(
  { weight: 3, arbitrary: oddNumber as fc.Arbitrary<Json> },
  { weight: 2, arbitrary: oddText as fc.Arbitrary<Json> },
  { weight: 3, arbitrary: fc.constantFrom<Json>(null, true, false, [], {}, [null], { a: 1 }, [1, 2, 3]) },
  { weight: 2, arbitrary: raw },
);

export const jsonEdit: fc.Arbitrary<JsonEdit> = fc.record({
  member: fc.nat(500),
  op: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'rename', 'wrap', 'repeat', 'scale'),
  value: oddValue,
  key: fc.oneof(fc.constantFrom(...oddKeys), fc.string({ maxLength: 6 })),
});

export const jsonEdits = (most = 4): fc.Arbitrary<JsonEdit[]> =>
  fc.array(jsonEdit, { minLength: 1, maxLength: most });

/** The text of a document after the edits. */
export function editJson(document: unknown, edits: readonly JsonEdit[]): string {
  const root = { document: structuredClone(document) as Json };
  const raws: string[] = [];
  const insert = (value: Json | Raw): Json =>
    isRaw(value) ? `@raw${raws.push(value.raw) - 1}@` : structuredClone(value);
  for (const edit of edits) {
    const places = placesOf(root);
    const { holder, key } = places[inside(edit.member, places.length)]!;
    const old = holder[key]!;
    switch (edit.op) {
      case 'replace':
        set(holder, key, insert(edit.value));
        break;
      case 'remove':
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        break;
      case 'rename':
        if (Array.isArray(holder) || (holder as unknown) === root) break;
        delete holder[key];
        set(holder, edit.key, old);
        break;
      case 'wrap':
        set(holder, key, [old]);
        break;
      case 'repeat':
        if (Array.isArray(holder)) holder.push(structuredClone(old));
        else if ((holder as unknown) !== root) set(holder, edit.key, structuredClone(old));
        break;
      case 'scale':
        if (typeof old === 'number') set(holder, key, old * 1e6);
        else set(holder, key, insert(edit.value));
        break;
    }
    if (root.document === undefined) root.document = null;
  }
  return JSON.stringify(root.document).replace(/"@raw(\d+)@"/g, (_, index) => raws[Number(index)]!);
}

const isRaw = (value: Json | Raw): value is Raw =>
  typeof value === 'object' && value !== null && 'raw' in value && typeof value.raw === 'string';

type Holder = Record<string, Json>;

/** As JSON.parse does it: `__proto__` is a member like any other. */
function set(holder: Holder | Json[], key: string, value: Json): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Every member of every object and list, the document itself first. */
function placesOf(root: { document: Json }): { holder: Holder; key: string }[] {
  const places: { holder: Holder; key: string }[] = [];
  const visit = (holder: Holder) => {
    for (const key of Object.keys(holder)) {
      places.push({ holder, key });
      const value = holder[key];
      if (typeof value === 'object' && value !== null && places.length < 5000) visit(value as Holder);
    }
  };
  visit(root as unknown as Holder);
  return places;
}
