// Makes a fresh machine ready: Node's version, npm packages, and a Vulkan adapter that WebGPU can use (a software one
// where there is no GPU). Plain Node without dependencies, since it runs before `npm ci`. Safe to run again.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backportsSource } from './apt-backports.mjs';

const checkOnly = process.argv.includes('--check');
const say = (text) => process.stdout.write(`setup: ${text}\n`);
const fail = (...lines) => {
  process.stderr.write(lines.map((line) => `setup: ${line}\n`).join(''));
  process.exit(1);
};

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old`, 'Install Node 20.19 or newer.');

installPackages();
let adapter = probe();
if (!adapter && !checkOnly) {
  installAdapter();
  adapter = probe();
}
if (!adapter) fail('no usable WebGPU adapter', ...advice());
say(`adapter ${adapter}`);

/** npm's packages, if they are missing or older than the lock file. */
function installPackages() {
  const done = 'node_modules/.package-lock.json';
  if (existsSync(done) && statSync(done).mtimeMs >= statSync('package-lock.json').mtimeMs) return;
  if (checkOnly) fail('npm packages are not installed', 'Run npm run setup.');
  say('installing npm packages');
  run('npm', ['ci', '--no-audit', '--no-fund'], { shell: process.platform === 'win32' });
}

/** Asks for an adapter in another process (a broken driver may end it); its name, or undefined. */
function probe() {
  const code = `
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    const adapter = await create([]).requestAdapter();
    if (!adapter) process.exit(1);
    const device = await adapter.requestDevice();
    process.stdout.write('found ' + adapter.info.device + ' (' + (adapter.info.description || adapter.info.vendor) + ')');
    process.exit(0);`;
  const env = { ...process.env, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? '/tmp' };
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return /found (.*)$/s.exec(stdout ?? '')?.[1];
}

/** Mesa's software Vulkan driver (lavapipe), where apt can give it. */
function installAdapter() {
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return;
  const release = Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .map((line) => line.replaceAll('"', '').split('=')),
  );
  const packages = ['mesa-vulkan-drivers', 'libvulkan1'];
  say('no usable adapter: installing a software Vulkan driver (Mesa lavapipe)');
  const target = [];
  // Debian 12's own Mesa, 22.3, lacks a feature that WebGPU asks for; its backports have a newer one.
  if (release.ID === 'debian' && Number(release.VERSION_ID) <= 12) {
    const suite = `${release.VERSION_CODENAME}-backports`;
    const source = backportsSource(aptSources(), release.VERSION_CODENAME);
    if (source) writeRoot('/etc/apt/sources.list.d/clip-agiqa-webgpu-backports.sources', source);
    target.push('-t', suite);
  }
  asRoot('apt-get', ['update', '-q']);
  asRoot('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...target, ...packages]);
}

function aptSources() {
  const folder = '/etc/apt/sources.list.d';
  const parts = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ['/etc/apt/sources.list', ...parts]
    .filter((path) => existsSync(path) && /\.(list|sources)$/.test(path))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

function writeRoot(path, text) {
  if (process.getuid() === 0) return writeFileSync(path, text);
  const done = spawnSync('sudo', ['-n', 'tee', path], { input: text });
  if (done.status !== 0) fail(`${path} may not be written`, 'Run npm run setup as root once.');
}

function asRoot(command, args) {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid() === 0) return run(command, args, { env: environment });
  const sudo = spawnSync('sudo', ['-n', 'true']);
  if (sudo.status !== 0)
    fail(
      'installing a driver needs root',
      `Run as root: ${command} ${args.join(' ')}`,
      'Then run npm run setup again.',
    );
  run('sudo', ['-n', command, ...args], { env: environment });
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) fail(`${command}: ${error.message}`);
  if (status !== 0) fail(`${command} ${args.join(' ')} failed with status ${status}`);
}

/** What to install where this script can't. */
function advice() {
  if (process.platform === 'darwin') return ['macOS needs no driver: update to macOS 13 or newer (Metal).'];
  if (process.platform === 'win32')
    return ['Update the graphics driver: Windows needs Direct3D 12 or Vulkan.'];
  return [
    'Install a Vulkan driver for the GPU (NVIDIA: the proprietary driver with its Vulkan part), or a software one:',
    '  Debian and Ubuntu: mesa-vulkan-drivers (Mesa 24 or newer; Debian 12: from backports)',
    '  Fedora: mesa-vulkan-drivers    Arch: vulkan-swrast    Alpine: mesa-vulkan-swrast',
  ];
}
