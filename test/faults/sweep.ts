import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ownIdentity, type ProcessIdentity } from '../../src/common/process-identity.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { artifactsOf, differences } from './artifacts.ts';
import {
  type CrashPoint,
  type FileState,
  type FolderState,
  recordCrashPoints,
  restoreState,
} from './disk-states.ts';
import type { Kind } from './kinds.ts';

/** A process that has run and ended. */
export function goneProcess(): ProcessIdentity {
  const pid = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));
  return { ...ownIdentity(), pid, started: 1 };
}

/** One undisturbed run of a kind, in a folder of its own. */
export interface Undisturbed {
  readonly kind: Kind;
  readonly folder: string;
  /** Absolute. */
  readonly roots: readonly string[];
  readonly points: readonly CrashPoint[];
  readonly artifacts: ReadonlyMap<string, string>;
}

export async function runUndisturbed(gpu: Gpu, kind: Kind, folder: string): Promise<Undisturbed> {
  const roots = kind.roots.map((root) => join(folder, root));
  mkdirSync(folder);
  const points = await recordCrashPoints(roots, () => kind.run(gpu, folder, false));
  return { kind, folder, roots, points, artifacts: artifactsOf(folder) };
}

/** Crash points that leave the same finished files, and differ only in unfinished temporary ones. */
export interface CrashState {
  readonly points: readonly CrashPoint[];
  /** The finished files, and beside them every temporary file of these points, torn wherever one of them tears it. */
  readonly left: FolderState;
}

/** The most that the temporary files of a state may take; of more, some are picked evenly. */
const temporaryBytes = 2 ** 26;

/** All crash points by what they leave: to go on from each of these states once is to go on from every point. */
export function crashStates(points: readonly CrashPoint[]): CrashState[] {
  const byFinished = new Map<string, CrashPoint[]>();
  for (const point of points) {
    const key = finishedFilesOf(point);
    byFinished.set(key, [...(byFinished.get(key) ?? []), point]);
  }
  return [...byFinished.values()].map((equal) => ({ points: equal, left: union(equal) }));
}

const isTemporary = (path: string): boolean => /[/\\]\.clip-agiqa-[^/\\]*\.tmp$/.test(path);

function finishedFilesOf({ folders, files }: FolderState): string {
  const parts = [...folders];
  for (const [path, { content, length }] of files)
    if (!isTemporary(path)) parts.push(`${path} ${content.number} ${length}`);
  return parts.sort().join('\n');
}

function union(points: readonly CrashPoint[]): FolderState {
  const files = new Map<string, FileState>();
  const temporaries = new Map<string, { readonly path: string; readonly state: FileState }>();
  for (const point of points)
    for (const [path, state] of point.files) {
      if (!isTemporary(path)) files.set(path, state);
      else temporaries.set(`${path} ${state.content.number} ${state.length}`, { path, state });
    }
  const all = [...temporaries.values()];
  const average = all.reduce((sum, { state }) => sum + state.length, 0) / all.length;
  const every = Math.max(1, Math.ceil((all.length * average) / temporaryBytes));
  for (const [i, { path, state }] of all.entries())
    if (i % every === 0) files.set(path.replace(/-\d+\.tmp$/, `-${1_000_000 + i}.tmp`), state);
  return { folders: points[0]!.folders, files };
}

/** Goes on from what a kill has left, and says what is different in the end; nothing, as it should be. */
export async function resumeFrom(
  gpu: Gpu,
  { kind, folder, roots, artifacts }: Undisturbed,
  left: FolderState,
  gone: ProcessIdentity,
): Promise<string[]> {
  restoreState(roots, left, gone);
  try {
    await kind.run(gpu, folder, true);
  } catch (error) {
    return [String(error)];
  }
  return differences(artifactsOf(folder), artifacts);
}
