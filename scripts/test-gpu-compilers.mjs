// `npm run test:gpu-compilers`: every kernel through the compilers of nine families of AMD GPUs (bench/lab/gpu-compilers.ts). It takes
// Mesa's RADV and a C compiler, which are installed here where apt can; where they stay absent it says so and ends well, but in CI
// (the variable CI is set) with status 1.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const run = (program, args, options = {}) =>
  spawnSync(program, args, {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    ...options,
  });
const has = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

/** An option of apt's that waits for another apt to end. */
const install = [
  'apt-get',
  'install',
  '-y',
  '-q',
  '--no-install-recommends',
  '-o',
  'DPkg::Lock::Timeout=600',
];

const absent = () => [
  ...(existsSync('/usr/share/vulkan/icd.d/radeon_icd.json') ||
  existsSync('/usr/share/vulkan/icd.d/radeon_icd.x86_64.json')
    ? []
    : ['mesa-vulkan-drivers']),
  ...(has('cc') || has('gcc') || has('clang') ? [] : ['gcc', 'libc6-dev']),
];

const wanted = absent();
if (wanted.length > 0 && process.platform === 'linux' && existsSync('/usr/bin/apt-get')) {
  const root = process.getuid() === 0 ? [] : ['sudo', '-n'];
  const [program, ...args] = [...root, ...install, ...wanted];
  run(program, args);
}
const still = absent();
if (process.platform !== 'linux' || still.length > 0) {
  const what = process.platform === 'linux' ? still.join(', ') : 'Linux';
  process.stdout.write(`gpu-compilers: not run, there is no ${what}\n`);
  process.exit(process.env.CI === undefined ? 0 : 1);
}
process.exit(
  run(process.execPath, ['dist/bench/lab/gpu-compilers.js', ...process.argv.slice(2)]).status ?? 1,
);
