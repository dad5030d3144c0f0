// Makes a fresh machine ready: Node's version, npm packages, and an adapter that WebGPU can use (a software one where
// there is no GPU). Plain Node without dependencies, since it runs before `npm ci`. Safe to run again; --check only
// reports.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backportsSource } from './apt-backports.mjs';
import { missingNvidiaVulkan } from './nvidia-vulkan.mjs';

const checkOnly = process.argv.includes('--check');
process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** An installed package has neither sources nor a lock file, and its packages are npm's to install. */
const installed = !existsSync('src');
const again = installed ? 'npx clip-agiqa-webgpu setup' : 'npm run setup';

const say = (text) => process.stdout.write(`setup: ${text}\n`);

/** Ends the set-up with lines on stderr. */
function fail(...lines) {
  process.stderr.write(`setup: ${lines.join('\n')}\n`);
  process.exit(1);
}

checkNode();
checkPackages();
let found = probe();
if (!found.adapter && !found.broken && !checkOnly) {
  if (installDriver()) found = probe();
}
if (found.broken)
  fail('the webgpu package does not load', ...found.broken, 'It needs Linux with glibc, macOS or Windows.');
if (!found.adapter) fail('no usable WebGPU adapter', ...missingNvidiaVulkan(), ...advice());
const { name, driver, software } = found.adapter;
say(
  `adapter ${name.replace(/-+$/, '')}${driver ? `, driver ${driver}` : ''}${software ? ' (software)' : ''}`,
);
if (software) for (const line of missingNvidiaVulkan()) say(line);
// CI tries pages in a real browser; elsewhere those tests are left out where there is none.
if (process.env.CI !== undefined && !installed && !checkOnly) installBrowser();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node ${process.versions.node} is too old`, 'Install Node 20.19 or newer.');
}

/** npm's packages, where what is installed is not what the lock file asks for. */
function checkPackages() {
  if (installed) return;
  const locked = existsSync('package-lock.json');
  if (locked ? packagesMatch() : existsSync('node_modules/.package-lock.json')) return;
  if (checkOnly) fail('npm packages are missing or out of date', `Run ${again}.`);
  say('installing npm packages');
  // Build and tests need the development packages too, whatever NODE_ENV says.
  const args = [locked ? 'ci' : 'install', '--include=dev', '--no-audit', '--no-fund'];
  run('npm', args, { shell: process.platform === 'win32' });
}

/** Whether the versions that npm noted in node_modules are the lock file's; other systems' packages may lack. */
function packagesMatch() {
  const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
  if (!existsSync('node_modules/.package-lock.json')) return false;
  const installed = read('node_modules/.package-lock.json');
  return Object.entries(read('package-lock.json')).every(([path, { version, optional, devOptional }]) => {
    if (path === '') return true;
    const here = installed[path];
    return here ? here.version === version && existsSync(path) : optional || devOptional;
  });
}

/**
 * Asks for an adapter in another process.
 * @returns {{ adapter?: { name: string, driver: string, software: boolean }, broken?: string[] }} `broken`: why
 *   WebGPU itself does not load, which no driver fixes
 */
function probe() {
  const { stdout, stderr } = spawnSync(process.execPath, ['scripts/probe-adapter.mjs'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (/^\{.*\}$/.test(stdout ?? '')) return { adapter: JSON.parse(stdout) };
  const reason = /^.*(?:ERR_DLOPEN_FAILED|ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND|^Error: .*\.node).*$/m.exec(
    stderr,
  );
  return reason ? { broken: [/^\w*Error.*$/m.exec(stderr)?.[0] ?? reason[0]] } : {};
}

/** Mesa's software Vulkan driver (lavapipe), where apt gives it. */
function installDriver() {
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return false;
  say('no usable adapter: installing a software Vulkan driver (Mesa lavapipe)');
  const { ID, VERSION_ID, VERSION_CODENAME } = osRelease();
  const install = ['apt-get', 'install', '-y', '-q', '--no-install-recommends'];
  const steps = [];
  // Debian 12's own Mesa, 22.3, lacks a feature that WebGPU asks for; its backports have a newer one.
  if (ID === 'debian' && VERSION_ID === '12') {
    const text = backports(VERSION_CODENAME);
    const path = '/etc/apt/sources.list.d/clip-agiqa-webgpu-backports.sources';
    if (text) steps.push({ path, text });
    install.push('-t', `${VERSION_CODENAME}-backports`);
  }
  steps.push({ command: ['apt-get', 'update', '-q'] });
  steps.push({ command: [...install, 'mesa-vulkan-drivers', 'libvulkan1'] });
  // Of the tests of queues; a package that is used needs none of its own.
  if (!installed)
    steps.push({ command: ['apt-get', 'install', '-y', '-q', '--no-install-recommends', 'redis-server'] });
  asRoot(steps);
  return true;
}

/** Debian's Chromium; on other systems the machine has one, or CHROMIUM names it. */
function installBrowser() {
  const apt = process.platform === 'linux' && existsSync('/usr/bin/apt-get') && osRelease().ID === 'debian';
  if (!apt || process.env.CHROMIUM || existsSync('/usr/bin/chromium')) return;
  say('installing Chromium for the tests of pages');
  asRoot([
    { command: ['apt-get', 'update', '-q'] },
    { command: ['apt-get', 'install', '-y', '-q', '--no-install-recommends', 'chromium'] },
  ]);
}

function osRelease() {
  const lines = readFileSync('/etc/os-release', 'utf8').replaceAll('"', '').split('\n');
  return Object.fromEntries(lines.map((line) => line.split('=')));
}

function backports(codename) {
  const folder = '/etc/apt/sources.list.d';
  const parts = existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  const files = ['/etc/apt/sources.list', ...parts].filter((path) => existsSync(path));
  try {
    return backportsSource(
      files.map((path) => ({ path, text: readFileSync(path, 'utf8') })),
      codename,
    );
  } catch (error) {
    return fail(error.message, `Add ${codename}-backports to apt's sources and run ${again} again.`);
  }
}

/** Writes files and runs commands as root, or says exactly what root has to do. */
function asRoot(steps) {
  const root = process.getuid() === 0;
  if (!root && spawnSync('sudo', ['-n', 'true']).status !== 0)
    fail('installing it needs root. As root, run:', ...steps.map(shell), `Then run ${again} again.`);
  const sudo = root ? [] : ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const { path, text, command } of steps) {
    if (command) {
      const [program, ...args] = [...sudo, ...command];
      run(program, args, { env });
    } else {
      say(`writing ${path}`);
      if (root) writeFileSync(path, text);
      else run('sudo', ['-n', 'tee', path], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
    }
  }
}

/** A step as a line, or lines, of shell. */
function shell({ path, text, command }) {
  return command ? `  ${command.join(' ')}` : `  cat > ${path} <<'END'\n${text}END`;
}

function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (error) fail(`${program}: ${error.message}`);
  if (status !== 0) fail(`${[program, ...args].join(' ')} failed with status ${status}`);
}

/** What to install where this script cannot. */
function advice() {
  if (checkOnly && existsSync('/usr/bin/apt-get')) return [`${again} installs a software Vulkan driver.`];
  if (process.platform === 'darwin') return ['Update macOS: WebGPU needs Metal on macOS 13 or newer.'];
  if (process.platform === 'win32')
    return ['Update the graphics driver: WebGPU needs Direct3D 12 or Vulkan.'];
  return [
    "Install the GPU's Vulkan driver (NVIDIA: the proprietary driver with its Vulkan part), or a software one:",
    '  Debian 13 or newer, Ubuntu 24.04 or newer: apt-get install mesa-vulkan-drivers libvulkan1',
    '  Debian 12: the same packages from bookworm-backports',
    '  Fedora: dnf install mesa-vulkan-drivers vulkan-loader',
    '  Arch: pacman -S vulkan-swrast vulkan-icd-loader',
    `Then run ${again} again.`,
  ];
}
