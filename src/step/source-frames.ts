import type { Frame } from './step-data.ts';

/** Where a place of running code is in the project's sources. */
export interface Located {
  readonly file: string;
  readonly line: number;
  /** What the source calls there by name, where names of running code are shortened. */
  readonly called?: string | undefined;
}

/** The project's sources, as far as running code can be found in them. */
export interface Sources {
  /** Of a file or address, with a row and a column from 1; undefined where it is none of the project's. */
  locate(place: string, row: number, column: number): Located | undefined;
  /** What a file holds; '' where that is not known. */
  content(file: string): string;
  /** Whether functions in stacks have the names of the source. */
  readonly named: boolean;
}

/** No sources: of work of which nobody asks where it comes from. */
const none: Sources = { named: true, locate: () => undefined, content: () => '' };

/** Where calls come from, in the project's own sources. */
export class SourceFrames {
  readonly frames: Frame[] = [];
  readonly stacks: number[][] = [];
  readonly #sources: Sources;
  readonly #frames = new Map<string, number>();
  readonly #stacks = new Map<string, number>();

  constructor(sources: Sources = none) {
    this.#sources = sources;
  }

  /** The number of the stack that calls this, outermost frame first, without the ones that `skip` names. */
  capture(skip: (file: string) => boolean): number {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 100;
    const { stack = '' } = new Error();
    Error.stackTraceLimit = limit;
    const calls = stack.split('\n').flatMap((line) => {
      const call = parseCall(line);
      return call ? [{ fn: call.fn, at: this.#sources.locate(call.place, call.row, call.column) }] : [];
    });
    const found = calls
      .flatMap(({ fn, at }, i) => (at && !skip(at.file) ? [this.#frame(fn, at, calls[i + 1]?.at)] : []))
      .reverse();
    const key = found.join();
    let number = this.#stacks.get(key);
    if (number === undefined) this.#stacks.set(key, (number = this.stacks.push(found) - 1));
    return number;
  }

  /** The sources of all frames so far. */
  files(): Record<string, string> {
    const names = [...new Set(this.frames.map(({ file }) => file))].sort();
    return Object.fromEntries(names.map((name) => [name, this.#sources.content(name)]));
  }

  #frame(given: string, { file, line }: Located, caller: Located | undefined): number {
    const fn = this.#sources.named ? given : this.#nameOf(given, file, caller);
    const key = `${fn} ${file} ${line}`;
    let number = this.#frames.get(key);
    if (number === undefined) this.#frames.set(key, (number = this.frames.push({ fn, file, line }) - 1));
    return number;
  }

  /** A function's name where bundling has shortened it: what its caller calls there, if the file has a function of that name. */
  #nameOf(given: string, file: string, caller: Located | undefined): string {
    const own = given.split(/[./]/).at(-1) ?? '';
    const text = this.#sources.content(file);
    for (const name of [caller?.called, own]) if (name && name.length > 2 && defines(text, name)) return name;
    return '';
  }
}

const defines = (text: string, name: string) =>
  new RegExp(
    `(?:function\\*? |const |^  (?:async |static |get |\\*)*)${name.replaceAll('$', '\\$')}\\b`,
    'm',
  ).test(text);

/** A line of a stack, as V8 writes it (`at name (place:1:2)`) and as Firefox and Safari do (`name@place:1:2`). */
function parseCall(line: string) {
  const [, fn = '', place, row, column] =
    /^\s*at (?:async )?(?:(?:new )?(.*?) \()?((?:file:\/\/)?[^()]+?):(\d+):(\d+)\)?$/.exec(line) ??
    /^([^@\s]*)@(.+):(\d+):(\d+)$/.exec(line) ??
    [];
  if (!place || place.startsWith('node:')) return undefined;
  // A bundler numbers names that it would otherwise have twice.
  const name = fn
    .replace(/^(?:Object|Function)\./, '')
    .replace(/\s*\[as .*\]$/, '')
    .replace(/(?<=[a-z])\d$/i, '');
  return { fn: name, place, row: Number(row), column: Number(column) };
}
