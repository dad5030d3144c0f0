/** Images through ViT-B/16: rate, memory and exactness of float32 and float16 weights, and whether decoding keeps up. */

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { ImageEncoder } from '../src/features/image-encoder.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import type { Clip } from '../src/model/clip.ts';
import type { WeightType } from '../src/model/weights/parameters.ts';
import { openGpu } from '../src/self-check/open.ts';
import { alternate } from './alternate.ts';
import { type EncodeHost, measureEncodeHost } from './encode-host.ts';
import { generatedClip } from './model.ts';
import { stages } from './schedule.ts';
import { type BenchOptions, digits, markdownTable, megabytes, type Section } from './section.ts';

/** With weights of one type. */
export interface EncodingRate {
  readonly imagesPerSecond: number;
  /** Of both towers on the GPU. */
  readonly weightBytes: number;
}

/** The section `encode` of the results. */
export interface EncodeResults {
  readonly batch: number;
  readonly float32: EncodingRate;
  readonly float16: EncodingRate;
  /** Largest difference of the features under float16 weights, as a share of the largest magnitude. */
  readonly float16Error: number;
  /** From files: decoding, cropping and encoding as `train.js` does before its first epoch. */
  readonly files: {
    readonly images: number;
    readonly pixels: number;
    readonly imagesPerSecond: number;
    /** Milliseconds until the first image was decoded: threads start with the first job. */
    readonly firstWait: number;
    /** Share of the time after it in which the encoder waited for an image. */
    readonly waitingShare: number;
  };
  /** Left out by earlier runs. */
  readonly host?: EncodeHost;
}

const batch = 8;

/** A minute or two on a software adapter. */
async function measure({ quick, progress }: BenchOptions): Promise<EncodeResults> {
  const stage = stages(progress, [25, 45, 50, 15]);
  stage('weights');
  const gpu = await openGpu();
  try {
    const load = async (weightType: WeightType) => {
      const before = gpu.pool.statistics.liveBytes;
      const clip = await generatedClip(gpu, { weightType });
      return { clip, weightBytes: gpu.pool.statistics.liveBytes - before };
    };
    const [single, half] = [await load('float32'), await load('float16')];
    stage('encoding from memory');
    const side = single.clip.vision.config.imageSize;
    const words = (batch * side ** 2 * 3) / 4;
    const pixels = Tensor.from(
      gpu,
      new Uint32Array(words).map((_, i) => Math.imul(i, 0x9e3779b1)),
      [batch, words / batch],
    );
    const run = ({ vision }: Clip) => scope(() => vision.features(vision.patchesFromBytes(pixels)));
    const [a, b] = [run(single.clip), run(half.clip)];
    const float16Error = maxError(await b.read(), await a.read());
    const times = await alternate(
      gpu,
      { single: () => run(single.clip).dispose(), half: () => run(half.clip).dispose() },
      quick ? 1 : 3,
    );
    for (const tensor of [a, b, pixels]) tensor.dispose();
    half.clip.dispose();
    stage('encoding from files');
    const files = await fromFiles(gpu, single.clip, quick ? 2 : 5);
    single.clip.dispose();
    stage("the host's part");
    const host = await measureEncodeHost(quick);
    const rate = (milliseconds: number, weightBytes: number) => ({
      imagesPerSecond: (1000 * batch) / milliseconds,
      weightBytes,
    });
    return {
      batch,
      float32: rate(times.single, single.weightBytes),
      float16: rate(times.half, half.weightBytes),
      float16Error,
      files,
      host,
    };
  } finally {
    gpu.close();
  }
}

/** Random crops of images of 512 pixels a side, drawn by the project, in `batches` batches after one that warms up. */
async function fromFiles(gpu: Gpu, { vision }: Clip, batches: number): Promise<EncodeResults['files']> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-encode-'));
  try {
    const pixels = 512;
    await makeScenes(folder, { scenes: (batches + 1) * 2, versions: 4, size: pixels, seed: 1 });
    const names = (await readdir(folder, { recursive: true })).filter((name) =>
      /\.(png|jpe?g|webp)$/.test(name),
    );
    const count = batch * (batches + 1);
    const jobs = names.slice(0, count).map((name, index) => ({
      path: join(folder, name),
      size: vision.config.imageSize,
      transform: { kind: 'crop' as const, seed: 1, epoch: 0, index },
    }));
    if (jobs.length < count) throw new Error(`${names.length} images were drawn, ${count} are needed`);
    const encoder = {
      width: vision.featureWidth,
      id: 'bench',
      encode: (patches: Tensor) => vision.features(patches),
    };
    const images = new ImageEncoder(gpu, vision, encoder, { batch, cache: null });
    let done = 0;
    let began = performance.now();
    let waitedBefore = 0;
    for await (const result of images.encode(jobs)) {
      if ('error' in result) throw new Error(result.error);
      // The first batch starts the threads; what it waited is counted separately.
      if (++done === batch) {
        began = performance.now();
        waitedBefore = images.counters.waited;
      }
    }
    const milliseconds = performance.now() - began;
    const { waited } = images.counters;
    await images.close();
    return {
      images: count - batch,
      pixels,
      imagesPerSecond: (1000 * (count - batch)) / milliseconds,
      firstWait: waitedBefore,
      waitingShare: (waited - waitedBefore) / milliseconds,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export const encodeSection: Section<EncodeResults> = {
  name: 'encode',
  summary: 'images through ViT-B/16: rate, float16 weights, decoding ahead',
  measure,
  bars: ({ float32, float16, float16Error, files, host }) => [
    {
      what: 'memory of float16 weights relative to float32',
      value: float16.weightBytes / float32.weightBytes,
      atMost: 0.51,
    },
    { what: 'difference of features under float16 weights', value: float16Error, atMost: 2e-3 },
    { what: 'fraction of time the encoder waits for an image', value: files.waitingShare, atMost: 0.02 },
    ...(host?.prepare ?? []).map(({ pixels, milliseconds }) => ({
      what: `processor milliseconds to prepare a JPEG of ${pixels} x ${pixels} pixels`,
      value: milliseconds,
      atMost: pixels > 512 ? 10 : 4,
    })),
    ...(host
      ? [
          {
            what: 'images per second that a core brings to a device',
            value: host.imagesPerSecondOfACore,
            atLeast: 220,
          },
        ]
      : []),
  ],
  render({ batch, float32, float16, float16Error, files, host }) {
    const row = (name: string, { imagesPerSecond, weightBytes }: EncodingRate) => [
      name,
      digits(imagesPerSecond),
      megabytes(weightBytes),
    ];
    return [
      `Batches of ${batch} images of 224 x 224 pixels. Memory is for both towers. Features with float16 weights differ by at`,
      `most ${digits(float16Error)} of the largest value.`,
      '',
      markdownTable(
        ['weights', 'images per second', 'weights on the GPU'],
        [row('float32', float32), row('float16', float16)],
      ),
      '',
      `From ${files.images} PNG files of ${files.pixels} x ${files.pixels} pixels, decoded and cropped ahead in threads: ${digits(files.imagesPerSecond)} images per`,
      `second. After the first image, which arrived ${Math.round(files.firstWait)} ms after the start, the encoder waited ${digits(100 * files.waitingShare)}% of the time.`,
      ...hostLines(host),
    ].join('\n');
  },
};

function hostLines(host: EncodeHost | undefined): string[] {
  if (!host) return [];
  const prepared = host.prepare.map(
    ({ pixels, milliseconds }) => `${digits(milliseconds)} ms for one of ${pixels} x ${pixels} pixels`,
  );
  return [
    '',
    `Preparing a JPEG (reading, decoding, resizing) takes ${prepared.join(' and ')} of processor time. With all else the host does, on a`,
    `device that computes nothing, a core brings ${digits(host.imagesPerSecondOfACore)} images per second of 512 x 512 pixels to a device.`,
  ];
}
