import { createCommand, runCommand } from '../cli/command.ts';
import { addTryOutOptions } from '../cli/gpu-options.ts';
import { openTerminalGpu, sayAdapter, terminal } from '../cli/start.ts';
import { checkAdapter, everyCheck, type Finding } from '../self-check/index.ts';

const command = createCommand(
  'adapter',
  'Says what this machine computes on, and checks everything that the engine relies on there, a line each.',
  [
    'node dist/adapter.js',
    'node dist/adapter.js --adapter 1                 # another one, where there are several',
    'node dist/adapter.js --json > adapter.json',
  ],
)
  .option('--json', 'print adapter, limits and findings as JSON')
  .option('--brief', 'leave out the large kernels, which a software adapter compiles for seconds');

addTryOutOptions(command);

await runCommand<{ json?: boolean; brief?: boolean }>(command, async ({ json, brief }) => {
  const opened = await openTerminalGpu();
  sayAdapter(terminal, opened);
  const { gpu, findings } = await checkAdapter(opened, {
    choice: 'always',
    ...(brief && { checks: everyCheck.filter(({ large }) => !large) }),
    onFinding: (finding) => {
      if (!json) process.stdout.write(`${lineOf(finding)}\n`);
    },
    usable: () => {},
  });
  const { adapter, limits } = gpu;
  gpu.close();
  const wrong = findings.filter((finding) => finding.wrong !== undefined);
  if (json)
    process.stdout.write(`${JSON.stringify({ adapter, limits, findings, failed: wrong.length }, null, 2)}\n`);
  else
    process.stdout.write(
      `${findings.length} checks, ${wrong.length} failed${adapter.masked ? `; left out: ${adapter.masked.join(', ')}` : ''}\n`,
    );
  if (wrong.length > 0) process.exitCode = 1;
});

function lineOf({ name, wrong, masks, milliseconds }: Finding): string {
  const start = `${name.padEnd(24)} ${`${milliseconds.toFixed(1)} ms`.padStart(11)}  `;
  if (wrong === undefined) return `${start}ok`;
  return `${start}FAIL  ${wrong}${masks?.length ? `; left out: ${masks.join(', ')}` : '; nothing stands in for it'}`;
}
