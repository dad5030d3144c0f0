import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bars, type Outcome, type Workplace } from '../fuzz/workplace.ts';
import type { Attack } from './attack.ts';

export interface AttackResult {
  readonly outcome: Outcome;
  /** Of the command, where the attack has one. */
  readonly command?: CommandResult;
  /** What is not as it has to be; empty if the attack was fended off. */
  readonly problems: readonly string[];
}

/** Runs an attack: through its reader in a process that is shared, and through its command in one of its own. */
export async function runAttack(
  attack: Attack,
  { workplace, dist, scratch }: { workplace: Workplace; dist: URL; scratch: string },
): Promise<AttackResult> {
  const folder = mkdtempSync(join(scratch, 'attack-'));
  try {
    const path = await attack.make(folder);
    const outcome = await workplace.run({ reader: attack.reader, path, folder });
    const problems: string[] = [];
    if (outcome.outcome !== (attack.outcome ?? 'refused'))
      problems.push(`${outcome.outcome}: ${outcome.message}`);
    else if (!attack.message.test(outcome.message)) problems.push(`says: ${outcome.message}`);
    if (!attack.command) return { outcome, problems };
    const command = await runCommand(dist, [...attack.command, path], folder);
    return { outcome, command, problems: [...problems, ...problemsOf(command, attack)] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface CommandResult {
  readonly status: number | null;
  readonly output: string;
  readonly ms: number;
}

function problemsOf({ status, output, ms }: CommandResult, attack: Attack): string[] {
  const problems: string[] = [];
  if (/^\s+at /m.test(output)) problems.push('the command shows a stack');
  if (ms > bars.seconds * 1000) problems.push(`the command took ${(ms / 1000).toFixed(1)} s`);
  if (attack.outcome === 'accepted') {
    if (status !== 0) problems.push(`the command ended with ${status}: ${output.slice(0, 500)}`);
    return problems;
  }
  if (status !== 1) problems.push(`the command ended with ${status}`);
  if (!attack.message.test(output)) problems.push(`the command says: ${output.slice(0, 500)}`);
  if (output.split('\n').length > 3 || output.length > 4000)
    problems.push(`the command prints ${output.length} characters`);
  return problems;
}

/** The program as people run it; ended when it takes too long. */
async function runCommand(dist: URL, [name, ...args]: string[], cwd: string): Promise<CommandResult> {
  const began = performance.now();
  const child = spawn(process.execPath, [fileURLToPath(new URL(`${name}.js`, dist)), ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 2 * bars.seconds * 1000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < 1e6) output += text;
    });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, output, ms: performance.now() - began };
}
