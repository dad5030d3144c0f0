import { anyObject, parseJson } from '../common/json.ts';
import type { TensorFile } from '../data/formats/tensor.ts';
import { openTensorFile } from '../data/formats/tensor-file.ts';

/** The settings in the metadata of any kind's checkpoint, and its format. */
export async function checkpointSettings(path: string): Promise<{ format: string; settings: unknown }> {
  return withTensorFile(path, async ({ metadata: { format = '', settings } }) => ({
    format,
    settings: parseJson(settings, anyObject, `${path}, metadata settings`),
  }));
}

/** Opens a file of tensors for as long as `read` takes. */
export async function withTensorFile<T>(path: string, read: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await openTensorFile(path);
  try {
    return await read(file);
  } finally {
    await file.close();
  }
}
