/** The other WebGPU libraries, each in a process of its own, on the same adapter with the same Dawn toggles. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../../src/common/errors.ts';
import { dawnFlags } from '../../src/kernels/node/open-gpu.ts';
import type { Inputs, Task } from './tasks.ts';

/** From dist/bench.js. */
const folder = new URL('../bench/peers/', import.meta.url);

/** `module` is the one in bench/peers that runs the package. */
const libraries = [
  { name: 'TensorFlow.js', package: '@tensorflow/tfjs-backend-webgpu', module: 'tfjs' },
  { name: 'jax-js', package: '@jax-js/jax', module: 'jax' },
  { name: 'onnxruntime-web', package: 'onnxruntime-web', module: 'onnxruntime' },
] as const;

/** A compilation on a software adapter takes seconds; what takes longer than this hangs. */
const limit = 300_000;

type Request =
  | { readonly kind: 'prepare'; readonly task: Task; readonly inputs: Inputs }
  | { readonly kind: 'time' }
  | { readonly kind: 'read' };

interface Answer {
  readonly error?: string;
  readonly milliseconds?: number;
  readonly outputs?: Float32Array[];
}

/** Installs what bench/peers asks for, unless it is there. */
export async function installPeers(progress: (text: string) => void): Promise<void> {
  const changed = async (file: string) => (await stat(new URL(file, folder))).mtimeMs;
  const installed = await changed('node_modules/.package-lock.json').catch(() => 0);
  if (installed > (await changed('package-lock.json'))) return;
  progress('npm ci in bench/peers (350 MB, once)');
  const path = fileURLToPath(folder);
  try {
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: path,
      shell: process.platform === 'win32',
    });
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    throw new UserError(
      `could not install the peers: ${stderr.trim().split('\n').at(-1) || (error as Error).message}`,
      'Run `npm ci` in bench/peers by hand, or omit --peers.',
    );
  }
}

/** All peers, not yet started. */
export async function openPeers(): Promise<Peer[]> {
  return Promise.all(
    libraries.map(async ({ name, package: installed, module }) => {
      const text = await readFile(new URL(`node_modules/${installed}/package.json`, folder), 'utf8');
      const { version } = JSON.parse(text) as { version: string };
      return new Peer(name, version, new URL(`${module}.mjs`, folder));
    }),
  );
}

/** One library. A process that dies is started again for the next task. */
export class Peer {
  readonly name: string;
  readonly version: string;
  readonly #module: URL;
  #process: ChildProcess | undefined;
  #complaints = '';

  constructor(name: string, version: string, module: URL) {
    this.name = name;
    this.version = version;
    this.#module = module;
  }

  /** Makes the task ready; throws what the library says if it cannot. */
  async prepare(task: Task, inputs: Inputs): Promise<void> {
    if (!this.#process) await this.#start();
    await this.#ask({ kind: 'prepare', task, inputs });
  }

  /** Milliseconds of one run, from its start to the GPU's having done it. */
  async time(): Promise<number> {
    return (await this.#ask({ kind: 'time' })).milliseconds!;
  }

  /** What the last run computed. */
  async read(): Promise<Float32Array[]> {
    return (await this.#ask({ kind: 'read' })).outputs!;
  }

  close(): void {
    this.#process?.kill();
    this.#process = undefined;
  }

  async #start(): Promise<void> {
    this.#complaints = '';
    const child = fork(fileURLToPath(this.#module), [JSON.stringify(dawnFlags({}))], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    child.stderr!.on('data', (text: Buffer) => {
      this.#complaints = `${this.#complaints}${text}`.slice(-4000);
    });
    this.#process = child;
    await this.#answer(child);
  }

  async #ask(request: Request): Promise<Answer> {
    const child = this.#process;
    if (!child) throw new Error('its process has ended');
    const answer = this.#answer(child);
    child.send(request);
    return answer;
  }

  async #answer(child: ChildProcess): Promise<Answer> {
    const done = new AbortController();
    const { signal } = done;
    const ended = once(child, 'exit', { signal }).then(([code, name]) => {
      const error = this.#complaints.split('\n').find((line) => /Error|error/.test(line)) ?? '';
      throw new Error(`its process ended (${name ?? code}) ${error}`.trim());
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer after ${limit / 1000} s`)), limit);
    });
    try {
      const [answer] = (await Promise.race([once(child, 'message', { signal }), ended, late])) as [Answer];
      if (answer.error === undefined) return answer;
      throw Object.assign(new Error(answer.error), { answered: true });
    } catch (error) {
      if (!(error as { answered?: boolean }).answered) this.close();
      throw error;
    } finally {
      clearTimeout(timer);
      done.abort();
      ended.catch(() => {});
    }
  }
}
