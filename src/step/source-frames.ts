import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Frame } from './step-data.ts';

/** A bundle's map to its sources, and what they hold. */
interface Bundle {
  readonly map: SourceMap;
  readonly contents: ReadonlyMap<string, string>;
}

/**
 * Where calls come from, in the project's own sources: stacks of bundles are mapped by the source maps beside them, which hold the
 * sources, too, so that it works in the installed package.
 */
export class SourceFrames {
  readonly frames: Frame[] = [];
  readonly stacks: number[][] = [];
  readonly #bundles = new Map<string, Bundle | null>();
  readonly #frames = new Map<string, number>();
  readonly #stacks = new Map<string, number>();
  readonly #contents = new Map<string, string>();

  /** The number of the stack that calls this, outermost frame first, without the ones that `skip` names. */
  capture(skip: (file: string) => boolean): number {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 100;
    const { stack = '' } = new Error();
    Error.stackTraceLimit = limit;
    const found = stack
      .split('\n')
      .flatMap((line) => this.#frame(line) ?? [])
      .filter((at) => !skip(this.frames[at]!.file))
      .reverse();
    const key = found.join();
    let number = this.#stacks.get(key);
    if (number === undefined) this.#stacks.set(key, (number = this.stacks.push(found) - 1));
    return number;
  }

  /** The sources of all frames so far. */
  files(): Record<string, string> {
    const names = [...new Set(this.frames.map(({ file }) => file))].sort();
    return Object.fromEntries(names.map((name) => [name, this.#contents.get(name) ?? '']));
  }

  #frame(line: string): number | undefined {
    const [, fn = '', place, row, column] =
      /^\s*at (?:async )?(?:(?:new )?(.*?) \()?((?:file:\/\/)?[^()]+?):(\d+):(\d+)\)?$/.exec(line) ?? [];
    if (!place || place.startsWith('node:')) return undefined;
    const path = place.startsWith('file:') ? fileURLToPath(place) : place;
    const [file, at] = this.#source(path, Number(row), Number(column)) ?? [];
    if (file === undefined || at === undefined) return undefined;
    // A bundler numbers names that it would otherwise have twice.
    const name = fn
      .replace(/^(?:Object|Function)\./, '')
      .replace(/\s*\[as .*\]$/, '')
      .replace(/(?<=[a-z])\d$/i, '');
    const key = `${name} ${file} ${at}`;
    let number = this.#frames.get(key);
    if (number === undefined)
      this.#frames.set(key, (number = this.frames.push({ fn: name, file, line: at }) - 1));
    return number;
  }

  #source(path: string, row: number, column: number): [file: string, line: number] | undefined {
    const direct = inProject(path);
    if (path.endsWith('.ts') && direct) {
      if (!this.#contents.has(direct)) this.#contents.set(direct, readFileSync(path, 'utf8'));
      return [direct, row];
    }
    const bundle = this.#bundle(path);
    const entry = bundle?.map.findEntry(row - 1, column - 1);
    if (!bundle || !entry || !('originalSource' in entry)) return undefined;
    const file = inProject(join(dirname(path), entry.originalSource));
    if (!file) return undefined;
    if (!this.#contents.has(file)) this.#contents.set(file, bundle.contents.get(entry.originalSource) ?? '');
    return [file, entry.originalLine + 1];
  }

  #bundle(path: string): Bundle | null {
    let bundle = this.#bundles.get(path);
    if (bundle === undefined) {
      bundle = existsSync(`${path}.map`) ? readBundle(`${path}.map`) : null;
      this.#bundles.set(path, bundle);
    }
    return bundle;
  }
}

function readBundle(path: string): Bundle {
  const payload = JSON.parse(readFileSync(path, 'utf8'));
  const { sources, sourcesContent = [] } = payload as { sources: string[]; sourcesContent?: string[] };
  return {
    map: new SourceMap(payload),
    contents: new Map(sources.map((name, i) => [name, sourcesContent[i] ?? ''])),
  };
}

/** From src/ on, where the path is of the project's sources. */
function inProject(path: string): string | undefined {
  return /(?:^|\/)(src\/(?!.*node_modules).*\.ts)$/.exec(path.replaceAll('\\', '/'))?.[1];
}
