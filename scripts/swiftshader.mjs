// SwiftShader, Chromium's Vulkan driver on a processor, from the distribution's own package of Chromium: downloaded and unpacked, not
// installed. A second software adapter beside Mesa's, by other people and with other habits: subgroups of 4, no float16.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const packages = ['chromium-common', 'chromium'];
const files = ['libvk_swiftshader.so', 'vk_swiftshader_icd.json'];

/**
 * The driver's manifest, for VK_DRIVER_FILES, in the user's cache folder; downloaded where it is not there yet.
 *
 * @returns {{ path: string } | { missing: string }} or why there is none
 */
export function swiftShader() {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'clip-agiqa-webgpu');
  const folder = join(cache, 'swiftshader');
  const path = join(folder, files[1]);
  if (files.every((file) => existsSync(join(folder, file)))) return { path };
  if (!existsSync('/usr/bin/apt-get'))
    return { missing: 'it comes from a package of Debian, and there is no apt-get' };
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'swiftshader-'));
  try {
    if (
      packages.some((name) => unpack(name, work)) ||
      (update() && packages.some((name) => unpack(name, work)))
    ) {
      mkdirSync(folder, { recursive: true });
      for (const file of files) renameSync(join(work, 'usr/lib/chromium', file), join(folder, file));
      return { path };
    }
    return { missing: `apt has no package with ${files[0]} (tried ${packages.join(', ')})` };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Whether the package could be had and has the driver in it. */
function unpack(name, work) {
  if (spawnSync('apt-get', ['download', '-q', name], { cwd: work, stdio: 'ignore' }).status !== 0)
    return false;
  const archive = readdirSync(work).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
  if (!archive) return false;
  const members = files.map((file) => `./usr/lib/chromium/${file}`).join(' ');
  const { status } = spawnSync(
    'sh',
    ['-c', `dpkg-deb --fsys-tarfile "$1" | tar -x ${members}`, 'sh', archive],
    {
      cwd: work,
      stdio: 'ignore',
    },
  );
  return status === 0 && files.every((file) => existsSync(join(work, 'usr/lib/chromium', file)));
}

/** The lists of packages, on a machine that has none yet. */
function update() {
  return process.getuid() === 0 && spawnSync('apt-get', ['update', '-q'], { stdio: 'ignore' }).status === 0;
}
