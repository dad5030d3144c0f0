/**
 * What a GPU's compiler makes of every kernel, without a GPU: Mesa's RADV compiles them for nine families of AMD's, and says what
 * registers, shared memory and instructions they take. Ends with status 1 where a kernel does not compile, spills, or overdraws
 * the budget in its shader.
 */
import { dirname, join } from 'node:path';
import { Option } from 'commander';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { UserError } from '../../src/common/errors.ts';
import { writeOutput } from '../../src/common/files.ts';
import { packageFile } from '../../src/common/package.ts';
import { multiplyAddShare } from '../gpu-compilers/budget.ts';
import { type Compilation, compileForAll, compileHere, openToolchain } from '../gpu-compilers/compile.ts';
import { gpuCompilersPage, pageData } from '../gpu-compilers/page.ts';
import { targets } from '../gpu-compilers/targets.ts';

interface Options extends Record<string, unknown> {
  readonly as?: string;
  readonly families: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly save?: boolean;
}

const names = targets.map(({ family }) => family);
const command = createCommand(
  'bench/lab/gpu-compilers',
  "Compiles every kernel with the compiler of nine families of AMD GPUs, without a GPU, and holds it to its shader's budget.",
  [
    'node dist/bench/lab/gpu-compilers.js',
    'node dist/bench/lab/gpu-compilers.js --families navi31,gfx940 --verbose',
  ],
)
  .option('--families <list>', 'of RADV_FORCE_FAMILY, separated by commas', names.join(','))
  .option('--verbose', 'a line for each kernel')
  .option('--json', 'everything, as JSON')
  .option('--save', 'write bench/results/gpu-compilers/radv.json and docs/gpu-compilers.md')
  .addOption(new Option('--as <family>').hideHelp());

await runCommand<Options>(command, async ({ as, families, verbose, json, save }) => {
  if (as) {
    await compileHere();
    process.exit(0);
  }
  const chosen = families.split(',');
  for (const family of chosen)
    if (!names.includes(family))
      throw new UserError(`${family} is not a family`, `Families: ${names.join(', ')}.`);
  const toolchain = await openToolchain();
  try {
    const all = await compileForAll(toolchain, chosen, (compilation) => {
      if (json) return;
      console.log(summary(compilation));
      if (verbose) for (const line of lines(compilation)) console.log(line);
    });
    if (save) await keep(all);
    if (json) console.log(JSON.stringify(all, null, 1));
    const faults = all.flatMap(({ family, kernels }) =>
      kernels.flatMap(({ kernel, constants, overdrawn }) =>
        overdrawn.map((what) => `${family}: ${kernel} ${JSON.stringify(constants)}: ${what}`),
      ),
    );
    for (const fault of faults) console.error(fault);
    if (faults.length > 0) process.exitCode = 1;
  } finally {
    await toolchain.dispose();
  }
});

/** The stored figures, and the page made from them. */
async function keep(all: readonly Compilation[]): Promise<void> {
  if (all.length < targets.length) throw new UserError('the page has all families', 'Leave out --families.');
  const data = pageData(all);
  const root = dirname(packageFile('package.json'));
  await writeOutput(
    join(root, 'bench/results/gpu-compilers/radv.json'),
    `${JSON.stringify(data, null, 1)}\n`,
  );
  await writeOutput(join(root, 'docs/gpu-compilers.md'), gpuCompilersPage(data));
}

function summary({ family, kernels, notHere, driver }: Compilation): string {
  const faults = kernels.filter(({ overdrawn }) => overdrawn.length > 0).length;
  return `${family.padEnd(10)} ${kernels.length} kernels compiled, ${faults} over budget; not for it: ${notHere.join(', ')} (${driver})`;
}

function* lines({ kernels }: Compilation): Generator<string> {
  for (const { kernel, constants, statistics } of kernels) {
    const { registers, shared, waves, scratch, loop } = statistics;
    const share = multiplyAddShare(statistics);
    yield `  ${kernel.padEnd(28)} ${String(registers).padStart(3)} registers ${String(shared).padStart(5)} B ${String(waves).padStart(2)} waves ${scratch} scratch ${share === null ? '' : `${share.toFixed(0)} % ${loop!.multiplyAdds}/${loop!.vector} ${loop!.waits} waits`} ${JSON.stringify(constants)}`;
  }
}
