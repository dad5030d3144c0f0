import { environmentVariable } from './environment.ts';
import { UserError } from './errors.ts';

const kibi = 2 ** 10;
const mebi = 2 ** 20;

/**
 * The most that a file may ask of this program, in one place. A file of a few kilobytes can claim any amount of memory
 * or time, so each reader stops at its limit and says which it was. Together they keep any single file below 1 GB of memory
 * and, on two slow cores, below 10 seconds. Whoever has a larger file that they trust raises a limit through the
 * environment: `CLIP_AGIQA_LIMITS=imagePixels=1e9,csvBytes=1e9`.
 */
const standard = {
  /** Header of a safetensors file; those of published models take less than 1 MB. */
  headerBytes: 8 * mebi,
  /** Tensors of a file, entries of an archive, variables of a MATLAB file. The largest published CLIP has 2,000. */
  tensors: 20_000,
  /** Texts beside the tensors. */
  metadata: 10_000,
  /** Dimensions of a tensor; PyTorch's own operations take no more. */
  shapeRank: 64,
  /** One tensor, as it is stored and as float32. ViT-bigG's vocabulary takes 253 MB. */
  tensorBytes: 384 * mebi,
  /** What the tensors of a file may take beyond four times its stored bytes: views can repeat them without end. */
  expandedBytes: 256 * mebi,
  /** Characters of a tensor's name; nested dicts join theirs. */
  nameLength: 1000,

  /** A pickle in an archive, or those at the beginning of a file in PyTorch's old format. ViT-L's takes 0.1 MB. */
  pickleFileBytes: 64 * mebi,
  /** Opcodes of a pickle, the items that it copies among them. ViT-L's takes 20,000. */
  pickleSteps: 10_000_000,
  /** What a pickle's values take, all that it ever makes together. ViT-L's take 1 MB. */
  pickleBytes: 256 * mebi,
  /** Digits of a pickle's integer, or its bytes in the binary form: 64 bits need 20, the time to read one grows with the square. */
  pickleDigits: 64,

  /** What the compressed entries of an archive unpack to, all together. PyTorch compresses none. */
  unpackedBytes: 256 * mebi,
  /** Directory of an archive: 20,000 entries with names of 800 characters. */
  directoryBytes: 16 * mebi,

  /** A MATLAB file, as it lies on the disk and as it unpacks. Published scores take 20 KB. */
  matBytes: 64 * mebi,
  /** Numbers of a MATLAB file, which become 8 bytes each. */
  matNumbers: 8_000_000,

  /** A CSV file: the largest published dataset takes 2 MB. */
  csvBytes: 32 * mebi,
  /** Line ends and separators of a CSV file, those within quotes among them: each makes a row or a text. */
  csvRows: 150_000,
  csvFields: 1_500_000,
  csvColumns: 1000,

  /** A JSON file: configurations, indices of shards, metrics of 100,000 epochs. */
  jsonBytes: 16 * mebi,
  /** Values in JSON: 16 MB of `[],` would become 300 MB of objects. A header of 20,000 tensors holds 200,000. */
  jsonValues: 2_000_000,
  /** A configuration in YAML; those that come with this program take 1 KB. */
  yamlBytes: 32 * kibi,
  /** Arrays and objects within one another in JSON and YAML. */
  depth: 100,

  /** A text to be tokenized: the context takes 77 tokens. */
  textCharacters: 100_000,

  /** Elements of one tensor of a specification, which is made from a few characters. */
  generatedElements: 2 ** 27,

  /** An image file's bytes. */
  imageBytes: 256 * mebi,
  /**
   * Pixels of an image: 8192 x 8192. Its decoder holds up to 12 bytes a pixel (measured: interlaced PNG of 16 bits, lossless
   * WebP), one of AVIF 20, whose pixels therefore count twice.
   */
  imagePixels: 2 ** 26,
  /** Pixels being decoded at one time, over all threads; an image of more is decoded alone. */
  pixelsAtOnce: 2 ** 26,
  /** Seconds that an image's decoder may take; the largest take 10. */
  imageSeconds: 120,
};

export type LimitName = keyof typeof standard;

const variable = 'CLIP_AGIQA_LIMITS';
let parsed: { readonly text: string; readonly values: Readonly<Record<LimitName, number>> } | undefined;

/** A limit: the standard one, or the one that the environment gives. Throws `UserError` if the environment makes no sense. */
export function limit(name: LimitName): number {
  const text = environmentVariable(variable) ?? '';
  if (parsed?.text !== text) parsed = { text, values: { ...standard, ...parse(text) } };
  return parsed.values[name];
}

function parse(text: string): Partial<Record<LimitName, number>> {
  const entries = text.split(/[\s,;]+/).filter((entry) => entry !== '');
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = '', value = ''] = entry.split('=');
      const number = Number(value);
      if (!Object.hasOwn(standard, name) || value === '' || !(number >= 1 && Number.isFinite(number)))
        throw new UserError(
          `${variable}: "${entry}" is not a limit`,
          `Write NAME=NUMBER, comma-separated; names: ${Object.keys(standard).join(', ')}.`,
        );
      return [name, number];
    }),
  );
}

/** The error of {@link beyondLimit}. */
export class LimitError extends UserError {}

/**
 * The error of a file that asks for more than a limit.
 *
 * @param problem what is too much, e.g. `a.pt has 200,000 tensors`; the limit is added
 */
export function beyondLimit(name: LimitName, problem: string): LimitError {
  return new LimitError(
    `${problem}, more than the limit of ${limit(name).toLocaleString('en')}`,
    `The file is damaged or malicious; if you trust it, raise the limit: ${variable}=${name}=NUMBER.`,
  );
}

/** Throws the error of {@link beyondLimit} if `amount` is above the limit; `describe` says of what, e.g. `a.pt has 9 tensors`. */
export function checkLimit(name: LimitName, amount: number, describe: (amount: string) => string): void {
  if (!(amount <= limit(name))) throw beyondLimit(name, describe(amount.toLocaleString('en')));
}
