import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../src/common/errors.ts';
import { packageFile } from '../../src/common/package.ts';
import type { Constants } from '../../src/kernels/device/wgsl.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { type Budget, budgetOf, overdrawn } from './budget.ts';
import { compileEverything, everyShader } from './every-kernel.ts';
import spilling from './spilling.wgsl';
import { type Statistics, statisticsOf } from './statistics.ts';

/** A kernel as a family's compiler takes it. */
export interface Compiled {
  readonly kernel: string;
  /** The file in shaders/ that it is in, without the extension. */
  readonly shader: string;
  readonly constants: Constants;
  readonly statistics: Statistics;
  /** What of its budget is overdrawn, in words, or that it has none. */
  readonly overdrawn: readonly string[];
}

/** What compiling every kernel for one family came to. */
export interface Compilation {
  readonly family: string;
  readonly driver: string;
  readonly kernels: readonly Compiled[];
  /** Shaders that only variants launch that do not apply on this family. */
  readonly notHere: readonly string[];
}

/** Before what the driver writes of a kernel stands a line with this and, in JSON, which kernel it is. */
const mark = '##### ';

/** The kernel with a fault on purpose. */
const seeded = 'spilling';

type Marked =
  | {
      readonly kernel: string;
      readonly shader: string;
      readonly constants: Constants;
      readonly budget: Budget | string;
    }
  | { readonly driver: string }
  | { readonly notHere: readonly string[] };

/** What makes a GPU's compiler out of this machine: the stub's folder, and RADV's library. */
export interface Toolchain {
  readonly folder: string;
  readonly driver: string;
  dispose(): Promise<void>;
}

/** RADV and a C compiler for the stub; throws a UserError that says which is absent. */
export async function openToolchain(): Promise<Toolchain> {
  const driver = radv();
  const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (!driver || !compiler)
    throw new UserError(
      driver ? 'there is no C compiler' : "there is no RADV, Mesa's Vulkan driver of AMD's GPUs",
      'On Debian and Ubuntu, `npm run test:gpu-compilers` installs both.',
    );
  const folder = await mkdtemp(join(tmpdir(), 'null-vulkan-'));
  const dispose = () => rm(folder, { recursive: true });
  const source = packageFile('bench/gpu-compilers/null-vulkan.c');
  const flags = ['-std=c11', '-O1', '-fPIC', '-shared', '-fvisibility=hidden'];
  const to = join(folder, 'libvulkan.so.1');
  const { status, stderr } = spawnSync(compiler, [...flags, '-o', to, source, '-ldl'], { encoding: 'utf8' });
  if (status !== 0) {
    await dispose();
    throw new Error(`${compiler} does not compile ${source}:\n${stderr}`);
  }
  return { folder, driver, dispose };
}

/** RADV's library as its Vulkan manifest names it. */
function radv(): string | undefined {
  for (const folder of ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d']) {
    const file = existsSync(folder) && readdirSync(folder).find((name) => /^radeon_icd.*\.json$/.test(name));
    if (!file) continue;
    const { ICD } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { ICD: { library_path: string } };
    return ICD.library_path;
  }
  return undefined;
}

/** Compiles every kernel for each family, as many at once as there are cores. */
export async function compileForAll(
  toolchain: Toolchain,
  families: readonly string[],
  onFamily: (compilation: Compilation) => void,
): Promise<Compilation[]> {
  const waiting = [...families];
  const done: Compilation[] = [];
  const work = async () => {
    for (let family = waiting.shift(); family; family = waiting.shift()) {
      const compilation = readOutput(family, await outputOf(toolchain, family));
      done.push(compilation);
      onFamily(compilation);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return done.sort((a, b) => families.indexOf(a.family) - families.indexOf(b.family));
}

/** What another process of this command writes to stderr while it compiles everything for a family. */
async function outputOf({ folder, driver }: Toolchain, family: string): Promise<string> {
  const child = spawn(process.execPath, [process.argv[1]!, '--as', family], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      RADV_FORCE_FAMILY: family,
      RADV_DEBUG: 'shaders,shaderstats,nocache',
      NULL_VULKAN_DRIVER: driver,
      LD_LIBRARY_PATH: folder,
      MESA_SHADER_CACHE_DISABLE: 'true',
    },
  });
  const parts: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (part: string) => parts.push(part));
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...ended) => resolve(ended));
  });
  const output = parts.join('');
  if (status === 0) return output;
  const [last = ''] = output.slice(output.lastIndexOf(mark)).split('\n');
  const end = output.trimEnd().split('\n').slice(-12).join('\n');
  throw new Error(`compiling for ${family} ended with ${signal ?? `status ${status}`} after ${last}\n${end}`);
}

/** The process that compiles: on the adapter that the environment makes, with a line before each kernel. */
export async function compileHere(): Promise<void> {
  const say = (marked: Marked) => writeSync(2, `\n${mark}${JSON.stringify(marked)}\n`);
  const gpu = await openGpu();
  if (!/radv/i.test(gpu.adapter.driver)) throw new Error(`the adapter is ${gpu.adapter.name}, not RADV's`);
  say({ driver: gpu.adapter.driver });
  const seen = new Set<string>();
  const shaders = new Map(everyShader().map(({ name, source }) => [source, name]));
  gpu.pipelines.onCompile = ({ name, source }, constants, code) => {
    // Constants that nothing asks for make the same code again, which Dawn does not compile twice.
    if (seen.has(code)) return say({ notHere: [] });
    seen.add(code);
    let budget: Budget | string;
    try {
      budget = budgetOf(code);
    } catch (error) {
      budget = (error as Error).message;
    }
    say({ kernel: name, shader: shaders.get(source) ?? name, constants, budget });
  };
  gpu.pipelines.get({ name: seeded, source: spilling });
  const { notHere } = compileEverything(gpu);
  say({ notHere });
  gpu.flush();
}

/** The statistics of each kernel in such output. */
export function readOutput(family: string, output: string): Compilation {
  const kernels: Compiled[] = [];
  let driver = '';
  let notHere: readonly string[] = [];
  for (const section of output.split(`\n${mark}`).slice(1)) {
    const end = section.indexOf('\n');
    const marked = JSON.parse(section.slice(0, end)) as Marked;
    if ('driver' in marked) driver = marked.driver;
    else if ('notHere' in marked) notHere = marked.notHere;
    else {
      const { kernel, shader, constants, budget } = marked;
      const called = `${kernel} ${JSON.stringify(constants)} for ${family}`;
      const statistics = statisticsOf(section.slice(end));
      if (!statistics) throw new Error(`${called}: the driver compiled nothing`);
      const faults = typeof budget === 'string' ? [budget] : overdrawn(budget, family, statistics);
      kernels.push({ kernel, shader, constants, statistics, overdrawn: faults });
    }
  }
  const [first, ...own] = kernels;
  if (first?.kernel !== seeded || first.statistics.scratch === 0 || first.overdrawn.length === 0)
    throw new Error(`for ${family} the kernel that spills on purpose was not found to spill`);
  return { family, driver, kernels: own, notHere };
}
