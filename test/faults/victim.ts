import { spawn } from 'node:child_process';
import { existsSync, type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';

export type KillSignal = 'SIGKILL' | 'SIGTERM' | 'SIGINT';

/** When a process is killed: some time after its start, or as soon as so many temporary files have appeared in its folder. */
export type KillMoment =
  | { readonly afterMs: number }
  /** `thenMs` after the `atWrite`th has appeared. */
  | { readonly atWrite: number; readonly thenMs: number };

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether it was sent the signal before it ended. */
  readonly killed: boolean;
  /** The last of what it wrote. */
  readonly output: string;
  readonly ms: number;
}

/** A command that runs much longer than it ever has hangs. */
const hangMs = 300_000;

/** Runs node in `folder` and kills it at a moment, if it has not ended by then. */
export async function runVictim(
  args: readonly string[],
  folder: string,
  {
    kill,
    cache,
    running,
  }: {
    readonly kill?: { readonly moment: KillMoment; readonly signal: KillSignal } | undefined;
    /** The user's cache folder, so that nothing outside is touched. */
    readonly cache: string;
    /** Gives the caller a way to end it. */
    readonly running: Set<() => void>;
  },
): Promise<Ended> {
  const began = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, XDG_CACHE_HOME: cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  running.add(end);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output = (output + data).slice(-8000);
    });
  let ended = false;
  let killed = false;
  const strike = () => {
    if (ended || !kill) return;
    killed = true;
    child.kill(kill.signal);
  };
  const timers = [setTimeout(end, hangMs)];
  const watchers: FSWatcher[] = [];
  if (kill && 'afterMs' in kill.moment) timers.push(setTimeout(strike, kill.moment.afterMs));
  else if (kill) {
    const { atWrite, thenMs } = kill.moment as Extract<KillMoment, { atWrite: number }>;
    watchTemporaries(folder, watchers, (count) => {
      if (count === atWrite) timers.push(setTimeout(strike, thenMs));
    });
  }
  try {
    return await new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        ended = true;
        resolve({ code, signal, killed, output, ms: performance.now() - began });
      });
    });
  } finally {
    running.delete(end);
    for (const timer of timers) clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  }
}

/** Counts the temporary files that appear in `run/` below a folder, and in the folders that appear there. */
function watchTemporaries(folder: string, watchers: FSWatcher[], appeared: (count: number) => void): void {
  const seen = new Set<string>();
  const watched = new Set<string>();
  const follow = (path: string) => {
    if (watched.has(path) || !existsSync(path)) return;
    watched.add(path);
    try {
      const watcher = watch(path, (_, name) => {
        if (name) look(path, name);
      });
      watcher.on('error', () => {});
      watchers.push(watcher);
      for (const name of readdirSync(path)) look(path, name);
    } catch {
      // It has gone again.
    }
  };
  const look = (path: string, name: string) => {
    const at = join(path, name);
    if (path === folder) {
      if (name === 'run') follow(at);
    } else if (name.startsWith('.clip-agiqa-')) {
      if (seen.has(at)) return;
      seen.add(at);
      appeared(seen.size);
    } else if (/^seed\d+$/.test(name)) follow(at);
  };
  follow(folder);
}
