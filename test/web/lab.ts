import {
  blobSource,
  Clip,
  type Gpu,
  mapWeights,
  openGpu,
  readSafetensors,
  scope,
  Tensor,
} from '../../src/browser.ts';
import { testTransform } from '../../src/data/images/transforms.ts';
import { decodeImage } from '../../src/web/images/decode-image.ts';
import type { Lab } from './lab-calls.ts';

/** What tests call in a page. */
let opened: Promise<Gpu> | undefined;
const gpu = () => (opened ??= openGpu());

const bytesAt = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());

async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes.slice()));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const lab: Lab = {
  async decode(url, autoOrient) {
    const { device } = await gpu();
    const image = await decodeImage(device, await bytesAt(url), url, { autoOrient });
    const { width, height, data } = image;
    return {
      size: [width, height],
      pixels: await sha256(data),
      prepared: await sha256(testTransform(image, 64)),
      some: [...data.subarray(0, 3000)],
    };
  },

  async features(url, pixels) {
    const device = await gpu();
    const blob = await (await fetch(url)).blob();
    const clip = await Clip.from(device, mapWeights(await readSafetensors(blobSource(blob, url))), {
      text: false,
    });
    const words = new Uint32Array(Uint8Array.from(pixels).buffer);
    const features = scope(() => {
      const patches = clip.vision.patchesFromBytes(Tensor.from(device, words, [1, words.length]));
      return clip.vision.features(patches);
    });
    return [...(await features.read())];
  },
};

Object.assign(globalThis, { lab });
