/** A number of a kernel's uniform block. */
interface Field {
  readonly name: string;
  readonly type: Scalar;
  /** Where it stands, in words of 4 bytes. */
  readonly word: number;
}

/** A kernel's uniform block: which numbers it takes, in order, and where each stands. */
export interface ParamLayout {
  readonly fields: readonly Field[];
  readonly bytes: number;
}

type Scalar = 'u32' | 'i32' | 'f32';

const letters: Readonly<Record<string, Scalar>> = { u: 'u32', i: 'i32', f: 'f32' };

/** The uniform block that a shader declares, read from its text (its constants replaced); null if it has none. */
export function paramsOf(source: string): ParamLayout | null {
  const text = source.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
  const written = /\bvar\s*<\s*uniform\s*>\s*\w+\s*:\s*([^;]+);/.exec(text)?.[1];
  if (written === undefined) return null;
  const declared = resolve(written.replace(/\s/g, ''), text);
  const body = /^\w+$/.test(declared)
    ? new RegExp(`\\bstruct\\s+${declared}\\s*{([^}]*)}`).exec(text)?.[1]
    : undefined;
  // Without a struct, one scalar or vector.
  const members = body === undefined ? [`params: ${declared}`] : splitMembers(body);
  const fields: Field[] = [];
  let [end, largest] = [0, 1];
  for (const member of members) {
    const [, name, written] = /^(\w+)\s*:\s*([\s\S]+)$/.exec(member.trim()) ?? [];
    const type = name && vectorOf(resolve(written!.replace(/\s/g, ''), text));
    if (!type)
      throw new Error(
        `${member.trim()}: a uniform block holds numbers and vectors of u32, i32 and f32, without attributes`,
      );
    const { scalar, count } = type;
    // WGSL's alignment: a vec3 stands as a vec4 would, but leaves its last word free.
    const alignment = count === 3 ? 4 : count;
    const word = Math.ceil(end / alignment) * alignment;
    for (let i = 0; i < count; i++)
      fields.push({ name: count === 1 ? name : `${name}.${'xyzw'[i]}`, type: scalar, word: word + i });
    end = word + count;
    largest = Math.max(largest, alignment);
  }
  return { fields, bytes: 4 * Math.ceil(end / largest) * largest };
}

/** Members of a struct: separated by commas, except for those between angle brackets. */
function splitMembers(body: string): string[] {
  return body.split(/,(?![^<]*>)/).filter((member) => member.trim() !== '');
}

/** A type without aliases. */
function resolve(type: string, text: string, depth = 0): string {
  const plain = type.replace(/\w+/g, (name) => {
    return new RegExp(`\\balias\\s+${name}\\s*=\\s*([^;]+);`).exec(text)?.[1]?.replace(/\s/g, '') ?? name;
  });
  // Aliases of aliases; those that go round in a circle do not compile.
  return plain === type || depth > 8 ? plain : resolve(plain, text, depth + 1);
}

function vectorOf(type: string): { scalar: Scalar; count: number } | undefined {
  if (/^[uif]32$/.test(type)) return { scalar: type as Scalar, count: 1 };
  const [, count, short, long] = /^vec([234])(?:([uif])|<([uif]32)>)$/.exec(type) ?? [];
  if (count === undefined) return undefined;
  return { scalar: (long as Scalar | undefined) ?? letters[short!]!, count: Number(count) };
}

const ranges: Readonly<Record<Scalar, readonly [least: number, most: number]>> = {
  u32: [0, 2 ** 32 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  f32: [-(2 - 2 ** -23) * 2 ** 127, (2 - 2 ** -23) * 2 ** 127],
};

/**
 * The words of a uniform block for `values`, one number a field (a vector takes as many as it has); throws where they are
 * not as many, or one is none of the field's numbers.
 */
export function packParams(layout: ParamLayout | null, values: readonly number[]): Uint32Array<ArrayBuffer> {
  const { fields, bytes } = layout ?? { fields: [], bytes: 0 };
  if (values.length !== fields.length) throw new Error(countError(fields, values.length));
  const words = new DataView(new ArrayBuffer(bytes));
  for (const [i, { name, type, word }] of fields.entries()) {
    const value = values[i]!;
    const [least, most] = ranges[type];
    if (type === 'f32') {
      // What is not finite is meant so; what would become infinite is not.
      const rounded = Math.fround(value);
      if (typeof value !== 'number' || (Number.isFinite(value) && !Number.isFinite(rounded)))
        throw new Error(`${name} is an f32, and ${value} is not`);
      words.setFloat32(4 * word, rounded, true);
    } else {
      if (!Number.isInteger(value) || value < least || value > most)
        throw new Error(`${name} is a ${type}, and ${value} is not: integers from ${least} to ${most}`);
      words.setUint32(4 * word, value, true);
    }
  }
  return new Uint32Array(words.buffer);
}

function countError(fields: readonly Field[], given: number): string {
  const counted = `${given} number${given === 1 ? '' : 's'} in params`;
  if (fields.length === 0) return `${counted}, but the shader declares no uniform block`;
  const declared = fields.map(({ name, type }) => `${name}: ${type}`).join(', ');
  const wrong =
    given > fields.length
      ? `${given - fields.length} too many`
      : `${fields
          .slice(given)
          .map(({ name }) => name)
          .join(', ')} missing`;
  return `${counted}, ${wrong}: the shader declares ${declared}`;
}
