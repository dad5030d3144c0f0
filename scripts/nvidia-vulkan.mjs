// Whether an NVIDIA GPU is here without the part of its driver that WebGPU needs, which is Vulkan's.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where Vulkan's loader looks for drivers (docs/LoaderDriverInterface.md of the Vulkan loader), and NVIDIA's container tools put theirs. */
const driverFolders = [
  'etc/vulkan/icd.d',
  'usr/local/share/vulkan/icd.d',
  'usr/share/vulkan/icd.d',
  'usr/local/nvidia/share/vulkan/icd.d',
];

/**
 * What to do where the GPU is there and its Vulkan driver is not; none where there is no such GPU, or nothing is missing.
 *
 * @param {string} root of the file system
 * @returns {string[]} lines
 */
export function missingNvidiaVulkan(root = '/') {
  if (!existsSync(join(root, 'dev/nvidia0'))) return [];
  const files = driverFolders.flatMap((folder) =>
    existsSync(join(root, folder)) ? readdirSync(join(root, folder)).map((name) => `/${folder}/${name}`) : [],
  );
  const found = files.find((path) => /nvidia.*\.json$/.test(path));
  const lines = ["an NVIDIA GPU is here (/dev/nvidia0), but WebGPU cannot use it: its driver's Vulkan part"];
  if (found?.startsWith('/usr/local/nvidia/'))
    return [`${lines[0]} is where the loader does not look: set VK_DRIVER_FILES=${found}`];
  if (found) return [];
  lines[0] += ' (nvidia_icd.json, libGLX_nvidia.so.0) is missing';
  const inContainer = ['.dockerenv', 'run/.containerenv'].some((file) => existsSync(join(root, file)));
  lines.push(
    inContainer
      ? 'start the container with it: docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …'
      : 'install it: libnvidia-gl-VERSION on Ubuntu, nvidia-vulkan-icd on Debian; in a container, NVIDIA_DRIVER_CAPABILITIES=all',
  );
  return lines;
}
