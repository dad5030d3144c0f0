import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Located, Sources } from './source-frames.ts';

/** A bundle's map to its sources, and what they hold. */
interface Bundle {
  readonly map: SourceMap;
  readonly contents: ReadonlyMap<string, string>;
}

/**
 * The project's sources as Node runs them: files as they are, and bundles by the source maps beside them, which hold the sources,
 * too, so that it works in the installed package.
 */
export class NodeSources implements Sources {
  readonly named = true;
  readonly #bundles = new Map<string, Bundle | null>();
  readonly #contents = new Map<string, string>();

  content(file: string): string {
    return this.#contents.get(file) ?? '';
  }

  locate(place: string, row: number, column: number): Located | undefined {
    const path = place.startsWith('file:') ? fileURLToPath(place) : place;
    const direct = inProject(path);
    if (path.endsWith('.ts') && direct) {
      if (!this.#contents.has(direct)) this.#contents.set(direct, readFileSync(path, 'utf8'));
      return { file: direct, line: row };
    }
    const bundle = this.#bundle(path);
    const entry = bundle?.map.findEntry(row - 1, column - 1);
    if (!bundle || !entry || !('originalSource' in entry)) return undefined;
    const file = inProject(join(dirname(path), entry.originalSource));
    if (!file) return undefined;
    if (!this.#contents.has(file)) this.#contents.set(file, bundle.contents.get(entry.originalSource) ?? '');
    return { file, line: entry.originalLine + 1 };
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
