import { basename } from 'node:path';
import { decode } from '@jridgewell/sourcemap-codec';

/** Files that a step's lines are in: the model's and the training's, not those that pass calls on. */
const shown = /(src\/(?:model|training|autograd\/(?:ops|optimizers)|web\/worker).*\.ts)$/;

/**
 * Source maps of bundles, cut down to what a recorded step shows, as JSON: `files` with their text, and by bundle and line of it
 * places as [column, file, line, name] in steps from the one before; file is -1 where none of them is.
 *
 * @param maps files as esbuild makes them
 */
export function sourcesOf(maps) {
  const files = {};
  const names = [];
  const numberOf = new Map();
  const nameNumber = (name) => {
    if (!numberOf.has(name)) numberOf.set(name, names.push(name) - 1);
    return numberOf.get(name);
  };
  const bundles = {};
  for (const { path, text } of maps) {
    const { mappings, sources, sourcesContent, names: known } = JSON.parse(text);
    const kept = sources.map((source) => shown.exec(source)?.[1]);
    for (const [i, file] of kept.entries()) if (file) files[file] = sourcesContent[i];
    const order = Object.keys(files);
    bundles[basename(path, '.map')] = decode(mappings).map((line) => {
      const out = [];
      let [lastColumn, lastFile, lastLine] = [0, 0, 0];
      let inside = true;
      for (const [column, source, row, , name] of line) {
        const file = source === undefined ? undefined : kept[source];
        // Of what is not shown, only where it begins.
        if (!file && !inside) continue;
        inside = file !== undefined;
        const number = file ? order.indexOf(file) : -1;
        const at = file ? row : lastLine;
        out.push(
          column - lastColumn,
          number - lastFile,
          at - lastLine,
          name === undefined ? -1 : nameNumber(known[name]),
        );
        [lastColumn, lastFile, lastLine] = [column, number, at];
      }
      return out;
    });
  }
  return JSON.stringify({ files, names, bundles });
}
