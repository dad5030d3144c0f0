import { stat } from 'node:fs/promises';
import { UserError } from '../../common/errors.ts';
import { unreadable } from '../../common/read-file.ts';
import { openModelFolder } from './model-folder.ts';
import { RandomAccessFile } from './random-access.ts';
import { openSafetensors } from './safetensors-file.ts';
import type { TensorFile } from './tensor.ts';
import { openTorchFile } from './torch.ts';

export type { DType, TensorFile, TensorInfo } from './tensor.ts';

/**
 * Opens named tensors, whatever they are stored in; the content decides, not the file's extension: safetensors,
 * PyTorch's zip format, TorchScript archives, PyTorch's old non-zip format, or a folder in Hugging Face's layout.
 * Only descriptions are read now; values are read tensor by tensor. Throws `UserError` for anything else.
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  const info = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return info.isDirectory() ? openModelFolder(path, openSingleFile) : openSingleFile(path);
}

async function openSingleFile(path: string): Promise<TensorFile> {
  const start = await readStart(path);
  // Safetensors first: the low bytes of its header's length may be anything.
  if (start[8] === 0x7b && start.readUIntLE(4, 4) === 0) return openSafetensors(path);
  if (start.subarray(0, 2).toString('latin1') === 'PK' || start[0] === 0x80) return openTorchFile(path);
  throw new UserError(
    `${path}: ${describeStranger(start)}`,
    'Pass a safetensors file, a PyTorch .pt file or a folder.',
  );
}

async function readStart(path: string): Promise<Buffer> {
  const file = await RandomAccessFile.open(path);
  try {
    return Buffer.from(await file.read(0, Math.min(64, file.size)));
  } finally {
    await file.close();
  }
}

function describeStranger(start: Buffer): string {
  const text = start.toString('latin1').trimStart();
  if (start.length === 0) return 'is empty';
  if (text.startsWith('version https://git-lfs'))
    return 'is a Git LFS pointer, not the file itself (git lfs pull)';
  if (/^<(!doctype|html|\?xml)/i.test(text)) return 'is a web page, not weights: the download failed';
  return 'is neither safetensors nor a PyTorch file';
}
