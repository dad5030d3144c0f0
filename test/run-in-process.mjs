// Runs commands of dist/ one after the other in this process, on one device, which saves each of them the start of Node and of the
// driver, and the compilation of what another has used:
// node test/run-in-process.mjs FOLDER takes command lines from standard input, and answers each with a line of JSON: { status, output }.
import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { globals } from 'webgpu';

const dist = resolve('dist');
process.chdir(process.argv[2]);
process.setMaxListeners(0);
/** Buffers, textures and query sets of the command that runs. */
const resources = [];
keepDevices(globals);

/** What a command throws in place of ending the process. */
class Exit extends Error {}

let output = '';
/** The status with which the command first ended the process, as it believes. */
let status;
const take = (chunk, encoding, done) => {
  if (status === undefined) output += chunk;
  (typeof encoding === 'function' ? encoding : done)?.();
  return true;
};
process.stdout.write = take;
process.stderr.write = take;
process.exit = (code) => {
  status ??= code ?? process.exitCode ?? 0;
  throw new Exit();
};

let count = 0;
const environment = { ...process.env };
for await (const line of createInterface({ input: process.stdin })) {
  output = '';
  status = undefined;
  process.exitCode = undefined;
  process.env = { ...environment };
  const [, name, rest] = /^node dist\/([\w/-]+)\.js(.*)$/.exec(line) ?? [];
  // A pipe, a redirection or a variable needs a shell.
  if (name === undefined || /[|<>;&]/.test(rest.replace(/"[^"]*"|'[^']*'/g, ''))) inShell(line);
  else await here(name, rest);
  freeResources();
  writeSync(1, `${JSON.stringify({ status: status ?? process.exitCode ?? 0, output })}\n`);
}
process.reallyExit(0);

async function here(name, rest) {
  // The shell's own reading of quotes and patterns.
  const words = /["'*?[{~$\\]/.test(rest) ? readByShell(rest) : rest.trim().split(/\s+/).filter(Boolean);
  process.argv.splice(1, Number.POSITIVE_INFINITY, resolve(dist, `${name}.js`), ...words);
  try {
    // Another address each time, so that the command's own module runs again; what it imports is loaded once.
    await import(`${pathToFileURL(process.argv[1]).href}?run=${count++}`);
  } catch (error) {
    if (error instanceof Exit) return;
    output += `\n${error.stack}`;
    status = 1;
  }
}

function readByShell(text) {
  const { stdout } = spawnSync('bash', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' });
  return stdout.split('\0').slice(0, -1);
}

function inShell(line) {
  const result = spawnSync('bash', ['-o', 'pipefail', '-c', line], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  output = result.stdout + result.stderr;
  status = result.status ?? 1;
}

/** What a command has taken of a device: with the device it would go by itself. */
function freeResources() {
  for (const resource of resources.splice(0)) resource.destroy();
}

/** From now on a device that is asked for as another was is that one, and none is destroyed. */
function keepDevices({ GPUAdapter, GPUDevice }) {
  const { requestDevice } = GPUAdapter.prototype;
  const devices = new Map();
  GPUAdapter.prototype.requestDevice = function (wanted) {
    const key = JSON.stringify([this.info.device, wanted]);
    if (!devices.has(key)) devices.set(key, requestDevice.call(this, wanted));
    return devices.get(key);
  };
  GPUDevice.prototype.destroy = () => {};
  for (const name of ['createBuffer', 'createTexture', 'createQuerySet']) {
    const create = GPUDevice.prototype[name];
    GPUDevice.prototype[name] = function (wanted) {
      const resource = create.call(this, wanted);
      resources.push(resource);
      return resource;
    };
  }
}
