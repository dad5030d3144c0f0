import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import {
  commandsOfDocument,
  commandsOfHelp,
  type Documented,
  documentedCommands,
  documents,
} from './documented-commands.ts';

export interface Ran {
  readonly status: number;
  readonly output: string;
}

/**
 * A process in the folder that runs command lines one after the other, on one device, with a cache of its own but the driver's
 * compiled kernels. With DOCUMENTED_TIMES=1 each line is printed with its seconds.
 */
export class Runner {
  readonly #child;
  readonly #answers;
  #errors = '';

  constructor(home: string, signal: AbortSignal) {
    const { HOME = homedir(), XDG_CACHE_HOME = join(HOME, '.cache') } = process.env;
    const env = {
      ...process.env,
      XDG_CACHE_HOME: join(home, 'cache'),
      MESA_SHADER_CACHE_DIR: XDG_CACHE_HOME,
    };
    this.#child = spawn(process.execPath, ['test/run-in-process.mjs', home], { env, signal });
    this.#child.stderr.on('data', (chunk) => (this.#errors += chunk));
    this.#child.on('error', (error) => (this.#errors += error.message));
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async run(line: string): Promise<Ran> {
    const began = performance.now();
    this.#child.stdin.write(`${line}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the process ended at: ${line}\n${this.#errors}`);
    if (process.env.DOCUMENTED_TIMES)
      process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} ${line}\n`);
    return JSON.parse(value) as Ran;
  }

  async help(name: string): Promise<string> {
    return (await this.run(`node dist/${name}.js --help`)).output;
  }

  /** What documents show, and the help page of every command. */
  async documented(): Promise<Documented[]> {
    const found: Documented[] = documents().flatMap(commandsOfDocument);
    for (const name of documentedCommands) {
      const examples = commandsOfHelp(name, await this.help(name));
      expect(examples.length, `examples of ${name} --help`).toBeGreaterThan(0);
      found.push(...examples);
    }
    return found;
  }

  end(): void {
    this.#child.stdin.end();
  }
}
