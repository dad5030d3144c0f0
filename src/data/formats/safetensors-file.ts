import { writeOutput } from '../../common/files.ts';
import { RandomAccessFile } from './random-access.ts';
import {
  readSafetensors,
  type SafetensorsOptions,
  safetensorsBytes,
  type TensorData,
} from './safetensors.ts';
import type { TensorFile } from './tensor.ts';

/** Opens a safetensors file; see {@link readSafetensors}. */
export async function openSafetensors(path: string): Promise<TensorFile> {
  return readSafetensors(await RandomAccessFile.open(path));
}

/**
 * Writes a safetensors file atomically. Tensors stand by element size (largest first, which keeps each aligned) and
 * then by name, so that the same tensors give the same bytes. Data given as functions are held one at a time.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData> | Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {},
  options: SafetensorsOptions = {},
): Promise<void> {
  await writeOutput(path, safetensorsBytes(tensors, metadata, options));
}
