import { spawn } from 'node:child_process';

/** What kills a process that is still there after so many milliseconds: while it is, the pipe between the two stays open. */
const script = `setTimeout(() => process.kill(+process.argv[1], 'SIGKILL'), +process.argv[2]);
process.stdin.on('end', () => process.exit()).resume();`;

/**
 * Before process.exit() of a process whose GPU hangs: a driver may wait for it in there without end, where no timer and no
 * signal but SIGKILL reaches the process any more. Another process sends it, if it must.
 */
export function killUnlessGone(milliseconds = 10_000): void {
  const guard = spawn(process.execPath, ['-e', script, String(process.pid), String(milliseconds)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    windowsHide: true,
  });
  guard.on('error', () => {}); // then there is no last resort
  guard.unref();
}
