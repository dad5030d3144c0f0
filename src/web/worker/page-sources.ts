import { gunzipped } from '../../step/page/unpack.ts';
import type { Located, Sources } from '../../step/source-frames.ts';
import { fetched } from './fetched.ts';

/** What `npm run web` makes of the worker's source maps: scripts/web-sources.mjs says what it holds. */
interface SourcesFile {
  readonly files: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  readonly bundles: Readonly<Record<string, readonly (readonly number[])[]>>;
}

interface Place {
  readonly column: number;
  readonly file: string | undefined;
  readonly line: number;
  readonly name: string | undefined;
}

/** The project's sources in a page, whose scripts have neither their names nor their lines. */
export class PageSources implements Sources {
  readonly named = false;
  readonly #file: SourcesFile;
  readonly #lines = new Map<string, readonly Place[]>();

  constructor(file: SourcesFile) {
    this.#file = file;
  }

  static async load(path: string): Promise<PageSources> {
    const response = await fetched(path);
    return new PageSources(await gunzipped(response.body!));
  }

  content(file: string): string {
    return this.#file.files[file] ?? '';
  }

  locate(address: string, row: number, column: number): Located | undefined {
    const places = this.#line(/[^/]*$/.exec(address.replace(/[?#].*$/, ''))![0], row - 1);
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle]!.column < column) low = middle + 1;
      else high = middle;
    }
    const place = places[low - 1];
    return place?.file === undefined
      ? undefined
      : { file: place.file, line: place.line + 1, called: place.name };
  }

  /** A line of a bundle, from its steps. */
  #line(bundle: string, row: number): readonly Place[] {
    const key = `${bundle} ${row}`;
    let places = this.#lines.get(key);
    if (places) return places;
    const { files, names, bundles } = this.#file;
    const order = Object.keys(files);
    const steps = bundles[bundle]?.[row] ?? [];
    const found: Place[] = [];
    let [column, file, line] = [0, 0, 0];
    for (let i = 0; i < steps.length; i += 4) {
      column += steps[i]!;
      file += steps[i + 1]!;
      line += steps[i + 2]!;
      found.push({ column, file: order[file], line, name: names[steps[i + 3]!] });
    }
    this.#lines.set(key, (places = found));
    return places;
  }
}
