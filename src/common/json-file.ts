import { type JsonSchema, parseJson } from './json.ts';
import { readText } from './read-file.ts';

/** As {@link parseJson}, of a whole file. */
export async function readJson<T>(path: string, schema: JsonSchema<T>, advice?: string): Promise<T> {
  return parseJson(await readText(path, 'jsonBytes'), schema, path, advice);
}
