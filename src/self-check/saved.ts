import * as v from 'valibot';
import type { AdapterDescription } from '../kernels/device/adapter-description.ts';
import { adapterKey } from '../kernels/device/adapter-store.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

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

/** What an earlier run found on this adapter with these kernels; undefined where none did, or the text is damaged. */
export function savedFindings({ store, adapter }: Gpu, version: string): Finding[] | undefined {
  const text = store?.read('self-check', adapter);
  if (text === undefined) return undefined;
  try {
    const file = v.parse(fileSchema, JSON.parse(text));
    return file.adapter === adapterKey(adapter) && file.version === version ? file.findings : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where they cannot be kept, the next run checks again.
 *
 * @param adapter as it was before anything was masked
 */
export async function saveFindings(
  { store }: Gpu,
  adapter: AdapterDescription,
  version: string,
  findings: readonly Finding[],
): Promise<void> {
  const file = { adapter: adapterKey(adapter), version, findings };
  await store?.write('self-check', adapter, `${JSON.stringify(file, null, 1)}\n`);
}
