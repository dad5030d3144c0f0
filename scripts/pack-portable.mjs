// Makes one folder, and a compressed tar of it, with everything a machine without network needs: Node's own binary, the packages
// of this platform, dist/, the models and a launcher. Usage: npm run pack:portable [-- --out DIR] [--no-archive]
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { out: { type: 'string' }, 'no-archive': { type: 'boolean', default: false } },
});
const target = `${process.platform}-${process.arch}`;
const out = resolve(options.out ?? join('output', `clip-agiqa-webgpu-${target}`));
process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const say = (text) => process.stdout.write(`portable   ${text}\n`);
const fail = (text) => {
  process.stderr.write(`error: ${text}\n`);
  process.exit(1);
};

const launcherText = (script) => `#!/bin/sh
# Runs it with the Node beside it; needs nothing else but a GPU driver.
here=$(dirname "$(readlink -f "$0")")
if [ -d "$here/lib" ] && ! { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q 'libvulkan\\.so\\.1'; then
  export LD_LIBRARY_PATH="$here/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
exec "$here/bin/node" "$here/dist/${script}" "$@"
`;

if (process.platform === 'win32') fail('the launcher is a shell script: run this on Linux or macOS');
if (!existsSync('dist/clip-agiqa-webgpu.js')) fail('dist/ is not built: run npm run build first');
// Nothing that is there already is replaced: it may be somebody's.
for (const path of [out, `${out}.tar.xz`, `${out}.tar.gz`])
  if (existsSync(path)) fail(`${path} exists: remove it, or choose another place with --out`);

// Made under a name of this run's own, so that a folder of the final name is whole.
const making = `${out}.making-${process.pid}`;
mkdirSync(dirname(making), { recursive: true });
// Throws where there is one already: what is removed below is this run's own.
mkdirSync(making);
try {
  fill(making);
  renameSync(making, out);
} catch (error) {
  rmSync(making, { recursive: true, force: true });
  throw error;
}
say(`${out}  ${megabytes(sizeOf(out))}: ${parts(out)}`);
if (!options['no-archive']) archive();

function fill(folder) {
  const node = join(folder, 'bin', 'node');
  mkdirSync(dirname(node));
  copyFileSync(realpathSync(process.execPath), node);
  chmodSync(node, 0o755);
  // Debug symbols are no use there, and a tenth of it.
  spawnSync('strip', ['--strip-unneeded', node], { stdio: 'ignore' });
  for (const path of ['dist', 'models', 'configs', 'docs', 'LICENSE', 'NOTICE', 'README.md', 'package.json'])
    if (existsSync(path)) cpSync(path, join(folder, path), { recursive: true, filter: wanted });
  for (const path of packages()) cpSync(path, join(folder, path), { recursive: true, filter: wanted });
  copyLoader(join(folder, 'lib'));
  // What the GPU kit compares with.
  cpSync('test/fixtures/reference', join(folder, 'reference'), { recursive: true });
  for (const [name, script] of [
    ['clip-agiqa-webgpu', 'clip-agiqa-webgpu.js'],
    ['gpu-kit', 'kit.js'],
  ]) {
    writeFileSync(join(folder, name), launcherText(script));
    chmodSync(join(folder, name), 0o755);
  }
}

/**
 * The folders of the packages that the program runs on, as far as they are installed here: what its dependencies lead to. The lock file's
 * marks of development do not tell: a package that only wants to be beside another one, such as a compiler, has none.
 */
function packages() {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  const found = new Set();
  const visit = (name, from) => {
    const path = foldersAbove(from)
      .map((folder) => `${folder}node_modules/${name}`)
      .find((one) => lock[one]);
    if (path === undefined || found.has(path) || !existsSync(path)) return;
    found.add(path);
    const { dependencies, optionalDependencies } = lock[path];
    for (const other of Object.keys({ ...dependencies, ...optionalDependencies })) visit(other, `${path}/`);
  };
  for (const name of Object.keys(lock[''].dependencies)) visit(name, '');
  return [...found].filter((path) => ![...found].some((other) => path.startsWith(`${other}/`)));
}

/** Where Node looks for a package that a folder asks for, the nearest first: `a/node_modules/b/`, `a/`, and the root, ``. */
function foldersAbove(folder) {
  const folders = [folder];
  for (let at = folder; at !== ''; folders.push(at))
    at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/', at.length - 2)));
  return folders;
}

/** Neither source maps nor declarations, nor Dawn for other platforms. */
function wanted(path) {
  if (/\.(map|d\.ts|d\.mts|d\.cts)$/.test(path) || /(^|\/)dist\/types(\/|$)/.test(path)) return false;
  const dawn = /node_modules\/webgpu\/dist\/([^/]+)/.exec(path);
  if (dawn && /^(darwin|linux|win32)-/.test(dawn[1]))
    return dawn[1] === target || dawn[1] === `${process.platform}-universal`;
  return true;
}

/** Vulkan's loader, which a driver does not always bring along; the launcher uses it only where there is none. */
function copyLoader(folder) {
  if (process.platform !== 'linux') return;
  const found = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  const path = /libvulkan\.so\.1 .*=> (\S+)/.exec(found)?.[1];
  if (!path) {
    say('without a Vulkan loader (libvulkan.so.1), since there is none here to copy');
    return;
  }
  mkdirSync(folder);
  copyFileSync(realpathSync(path), join(folder, 'libvulkan.so.1'));
}

function archive() {
  const xz = spawnSync('xz', ['--version'], { stdio: 'ignore' }).status === 0;
  const file = `${out}.tar.${xz ? 'xz' : 'gz'}`;
  const [program, ...args] = xz ? ['xz', '-6', '-T0'] : ['gzip', '-9'];
  say(`compressing with ${program}, which takes a minute or two`);
  const command = ['tar', '-C', dirname(out), '-I', [program, ...args].join(' '), '-cf', file, basename(out)];
  const { status } = spawnSync(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    if (existsSync(file)) rmSync(file);
    fail(`${command.join(' ')} failed`);
  }
  say(`${file}  ${megabytes(statSync(file).size)}`);
}

function sizeOf(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function parts(folder) {
  return readdirSync(folder)
    .map((name) => ({ name, size: sizeOf(join(folder, name)) }))
    .filter(({ size }) => size > 1e6)
    .sort((a, b) => b.size - a.size)
    .map(({ name, size }) => `${name} ${megabytes(size)}`)
    .join(', ');
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
