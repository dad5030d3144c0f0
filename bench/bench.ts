import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCommand, runCommand } from '../src/cli/command.ts';
import { addTryOutOptions } from '../src/cli/gpu-options.ts';
import { countOption } from '../src/cli/numbers.ts';
import { Progress } from '../src/cli/progress.ts';
import { startGpu, terminal } from '../src/cli/start.ts';
import { UserError } from '../src/common/errors.ts';
import { writeOutput } from '../src/common/files.ts';
import { encodeSection } from './encode.ts';
import { growthSection } from './growth/section.ts';
import { hostSection } from './host.ts';
import { kernelsSection } from './kernels/section.ts';
import { performancePage } from './page.ts';
import { environment, readResults, saveSection } from './results.ts';
import { type Bar, type BenchOptions, digits, holds, type Section, verdict } from './section.ts';
import { trainSection } from './train/section.ts';
import { tunerSection } from './tuner.ts';

/** In the order of docs/performance.md. */
const sections: readonly Section[] = [
  tunerSection,
  kernelsSection,
  hostSection,
  trainSection,
  encodeSection,
  growthSection,
] as Section[];

interface Options {
  quick?: boolean;
  python?: string;
  peers?: boolean;
  out?: string;
  page?: string;
  json?: boolean;
  seconds?: number;
}

const names = sections.map(({ name }) => name);
const command = createCommand(
  'bench',
  'Measures the engine on this adapter, checks the results against their limits, and saves them.',
  [
    'node dist/bench.js kernels --peers                       # kernels against the ceiling and other WebGPU libraries',
    'node dist/bench.js host                                  # what a training step costs the host',
    'node dist/bench.js train --python python3                # the training job, next to PyTorch',
    'node dist/bench.js encode growth --quick',
    'node dist/bench.js all                                   # every section, then docs/performance.md',
    'node dist/bench.js page                                  # only docs/performance.md, from saved results',
    'node dist/bench.js page --out gpu-kit/results           # of a GPU kit: performance.md in that folder',
  ],
)
  .argument(
    '<sections...>',
    `what to measure: all, page (no measurement), or\n${sections.map(({ name, summary }) => `${name}: ${summary}`).join('\n')}`,
  )
  .option('--quick', 'fewer repetitions and sizes, only to see that it runs; saved only where --out is given')
  .option(
    '--seconds <n>',
    'begin no new measurement after so many; kernels and tuner then keep what they have',
    countOption('--seconds'),
  )
  .option('--python <command>', 'a Python with PyTorch, to measure on the CPU for comparison')
  .option('--peers', 'also measure other WebGPU libraries; installs bench/peers with npm (350 MB) if needed')
  .option('--out <folder>', 'folder for ADAPTER.json (default: bench/results)')
  .option(
    '--page <file>',
    'page to generate from the results (default: docs/performance.md, or performance.md in the folder of --out)',
  )
  .option('--json', 'print the results as JSON');

/** From dist/bench.js, wherever it is called. */
function inProject(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

addTryOutOptions(command);

await runCommand<Options>(command, async (given, asked) => {
  const unknown = asked.find((name) => !['all', 'page', ...names].includes(name));
  if (unknown)
    throw new UserError(`no section named ${unknown}`, `Sections: ${names.join(', ')}, all and page.`);
  const chosen = sections.filter(({ name }) => asked.includes('all') || asked.includes(name));
  const failed = chosen.length > 0 ? await measure(chosen, given) : 0;
  // A page of results elsewhere is none to put in place of the project's own.
  const beside = given.out && join(given.out, 'performance.md');
  const page = given.page ?? beside ?? (given.quick ? undefined : inProject('docs/performance.md'));
  if (page !== undefined) {
    const results = await readResults(given.out ?? inProject('bench/results'));
    await writeOutput(page, performancePage(results, sections));
    Progress.line(`written    ${page}`);
  }
  if (failed > 0) process.exitCode = 1;
});

/** Runs the sections one after the other; gives the number of bars that were missed. */
async function measure(
  chosen: readonly Section[],
  { quick = false, python, peers = false, out, json, seconds }: Options,
): Promise<number> {
  // Open until the end: the sections open devices of their own, and Dawn dies where one on another backend follows a closed one.
  const gpu = await startGpu(terminal);
  const { adapter } = gpu;
  const until = seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + 1000 * seconds;
  const measured: Record<string, unknown> = {};
  let failed = 0;
  for (const section of chosen) {
    const options: BenchOptions = {
      quick,
      python: python ?? null,
      peers,
      until,
      progress: (text) => Progress.line(`${section.name.padEnd(10)} ${text}`),
    };
    const [began, before] = [performance.now(), loadavg()[0]!];
    const results = await section.measure(options);
    measured[section.name] = results;
    for (const bar of section.bars(results)) {
      if (!holds(bar)) failed++;
      options.progress(barLine(bar));
    }
    if (quick && out === undefined) continue;
    const run = {
      measuredAt: new Date().toISOString(),
      seconds: (performance.now() - began) / 1000,
      ...environment(),
      ...(quick && { quick }),
    };
    await saveSection(out ?? inProject('bench/results'), adapter, section.name, {
      ...run,
      load: [before, loadavg()[0]!],
      results,
    });
  }
  if (json) process.stdout.write(`${JSON.stringify({ adapter, sections: measured }, null, 2)}\n`);
  gpu.close();
  return failed;
}

function barLine(bar: Bar): string {
  const { what, value, atLeast, atMost } = bar;
  const bound = atLeast === undefined ? `at most ${digits(atMost!)}` : `at least ${digits(atLeast)}`;
  return `${what.padEnd(64)} ${digits(value).padStart(8)}  ${bound.padEnd(16)} ${verdict(bar)}`;
}
