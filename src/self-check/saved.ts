import * as v from 'valibot';
import { builtin } from '../common/environment.ts';
import { UserError } from '../common/errors.ts';
import type { AdapterDescription } from '../kernels/device/adapter.ts';
import { adapterFile, adapterKey } from '../kernels/device/adapter-file.ts';

/** What came of a check. */
export interface Finding {
  readonly name: string;
  readonly milliseconds: number;
  /** What is wrong; left out where it passed. */
  readonly wrong?: string | undefined;
  /** What the engine then does without; where it lists nothing, the adapter is of no use. */
  readonly masks?: readonly string[] | undefined;
}

const fileSchema = v.object({
  adapter: v.string(),
  version: v.string(),
  findings: v.array(
    v.object({
      name: v.string(),
      milliseconds: v.number(),
      wrong: v.optional(v.string()),
      masks: v.optional(v.array(v.string())),
    }),
  ),
});

/** What an earlier run found on this adapter with these kernels; undefined where none did, or the file is damaged. */
export function savedFindings(adapter: AdapterDescription, version: string): Finding[] | undefined {
  const path = adapterFile('self-check', adapter);
  if (!path) return undefined;
  try {
    const file = v.parse(fileSchema, JSON.parse(builtin('node:fs')!.readFileSync(path, 'utf8')));
    return file.adapter === adapterKey(adapter) && file.version === version ? file.findings : undefined;
  } catch {
    return undefined;
  }
}

/** A cache: where it cannot be written, the next run checks again. */
export async function saveFindings(
  adapter: AdapterDescription,
  version: string,
  findings: readonly Finding[],
): Promise<void> {
  const path = adapterFile('self-check', adapter);
  if (!path) return;
  const { writeOutput } = await import('../common/files.ts');
  const file = { adapter: adapterKey(adapter), version, findings };
  try {
    await writeOutput(path, `${JSON.stringify(file, null, 1)}\n`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}
