/** Exercises in WGSL: compares a file of yours with float64, and times it beside the engine's kernel. */
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { countOption } from '../../src/cli/numbers.ts';
import { UserError } from '../../src/common/errors.ts';
import { readText } from '../../src/common/read-file.ts';
import { openGpu } from '../../src/self-check/open.ts';
import { checkAnswer, timeAnswer } from '../exercises/check.ts';
import { exercises } from '../exercises/index.ts';

const names = exercises.map(({ name }) => name);
const command = createCommand(
  'bench/lab/exercise',
  'Checks a kernel that you wrote: right at every shape, and how fast beside where you started and the engine’s own.',
  [
    'node dist/bench/lab/exercise.js softmax --start > mine.wgsl   # where to begin',
    'node dist/bench/lab/exercise.js softmax mine.wgsl             # right? how fast?',
  ],
)
  .argument('<kernel>', `which: ${names.join(', ')}`)
  .argument('[file]', 'your WGSL')
  .option('--start', 'print the WGSL to begin with, and what to try')
  .option('--rounds <count>', 'how many times each takes its turn', countOption('--rounds'), 15)
  .option('--json', 'print the result as JSON');

interface Options {
  start?: boolean;
  rounds: number;
  json?: boolean;
}

await runCommand<Options & Record<string, unknown>>(
  command,
  async ({ start, rounds, json }, [name, file]) => {
    const exercise = exercises.find((one) => one.name === name);
    if (!exercise) throw new UserError(`there is no exercise ${name}`, `There are: ${names.join(', ')}.`);
    if (start) {
      process.stdout.write(exercise.start);
      process.stderr.write(exercise.tasks.map((task, i) => `${i + 1}. ${task}\n`).join(''));
      return;
    }
    if (file === undefined)
      throw new UserError(
        'no file to check',
        `Begin with: node dist/bench/lab/exercise.js ${name} --start > mine.wgsl`,
      );
    const wgsl = await readText(file, 'jsonBytes');
    const gpu = await openGpu();
    try {
      const { wrong, error } = await checkAnswer(gpu, exercise, wgsl);
      const times = wrong === null ? await timeAnswer(gpu, exercise, wgsl, rounds) : null;
      if (json) process.stdout.write(`${JSON.stringify({ exercise: name, wrong, error, ...times })}\n`);
      else if (wrong !== null) process.stdout.write(`wrong      ${wrong}\n`);
      else if (times) process.stdout.write(report(exercise.cases().length, error, times));
      if (wrong !== null) process.exitCode = 1;
    } finally {
      gpu.close();
    }
  },
);

function report(
  shapes: number,
  error: number,
  { shape, mine, start, engine }: Awaited<ReturnType<typeof timeAnswer>>,
): string {
  const line = (what: string, ms: number) =>
    `${what.padEnd(10)} ${ms.toFixed(3)} ms, ${(start / ms).toFixed(2)} times as fast as the start\n`;
  return `right      at ${shapes} shapes, largest error ${error.toExponential(1)}\ntimes      at ${shape}, the least of each, in turns\n${line('mine', mine)}${line('start', start)}${line('engine', engine)}`;
}
