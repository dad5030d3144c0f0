import type { AdapterDescription } from '../kernels/device/adapter-description.ts';
import type { StepData } from '../step/step-data.ts';

/** What the page and the worker that holds the engine say to each other. Everything is plain data. */

/** What computes, as far as the page shows it. */
export interface EngineInfo {
  readonly adapter: AdapterDescription;
  /** Side in pixels of what the network takes. */
  readonly imageSize: number;
}

/** What is done to an image before it is scored, in this order; what is 0 or absent is not done. */
export interface Changes {
  /** Circles that are covered by the image's mean color; places and radii as shares of the side of the square that is scored. */
  readonly hidden: readonly { readonly x: number; readonly y: number; readonly radius: number }[];
  /** Standard deviation of a Gaussian blur in pixels. */
  readonly blur: number;
  /** Standard deviation of noise in levels of 255. */
  readonly noise: number;
  /** JPEG quality, from 1 to 100; 0 for none. */
  readonly jpeg: number;
}

export const noChanges: Changes = { hidden: [], blur: 0, noise: 0, jpeg: 0 };

/** An image as the network sees it: the square in the middle, RGBA for a canvas. */
export interface View {
  readonly side: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

export interface ScoreResult {
  readonly score: number;
  readonly view: View;
  readonly width: number;
  readonly height: number;
  readonly milliseconds: number;
}

/** A number for each patch, row by row. */
export interface MapsResult {
  readonly side: number;
  readonly relevance: Float32Array;
  readonly attention: Float32Array;
  readonly score: number;
}

/** Settings of a training that a page offers, by the names that `node dist/train.js` knows them by. */
export interface TrainArgs {
  readonly trainer: 'clip-agiqa' | 'linear' | 'image-only';
  readonly epochs: number;
  readonly lr: number;
  readonly batchSize: number;
  readonly nCtx: number;
  readonly dropout: number;
  readonly seed: number;
}

/** After an epoch; `predictions` of the images that are held out, in the order of `heldOut`. */
export interface EpochEvent {
  readonly epoch: number;
  readonly loss: number;
  readonly srcc: number | null;
  readonly plcc: number | null;
  readonly predictions: Float32Array;
  /** Since the first step. */
  readonly milliseconds: number;
}

export interface TrainedResult {
  /** model.safetensors, as a run leaves it. */
  readonly file: Uint8Array<ArrayBuffer>;
  readonly images: { readonly train: number; readonly test: number };
}

/** An image that the user rates. */
export interface TaughtImage {
  readonly id: number;
  /** By the embedded model. */
  readonly score: number;
  readonly view: View;
}

export interface TeachArgs {
  /** From 1 to 5. */
  readonly ratings: readonly { readonly id: number; readonly rating: number }[];
  readonly epochs: number;
  readonly seed: number;
}

export interface TaughtResult {
  /** model.safetensors, which `node dist/score.js --model` reads. */
  readonly file: Uint8Array<ArrayBuffer>;
  /** How ratings of images are foretold by heads that did not learn from them; null where they are all the same. */
  readonly foretold: { readonly srcc: number | null; readonly rmse: number };
  readonly predictions: readonly {
    readonly id: number;
    readonly rating: number;
    readonly foretold: number;
  }[];
}

/** What is told while the machine is measured. */
export type MachineEvent =
  | { readonly kind: 'check'; readonly check: MachineResult['checks'][number] }
  | { readonly kind: 'ceilings'; readonly ceilings: MachineResult['ceilings'] }
  | { readonly kind: 'shape'; readonly shape: MachineResult['shapes'][number]; readonly share: number };

export interface MachineResult {
  readonly adapter: AdapterDescription;
  readonly limits: Readonly<Record<string, number>>;
  /** What was tried against its definition; `wrong` where it fails. */
  readonly checks: readonly { readonly name: string; readonly wrong?: string }[];
  readonly ceilings: { readonly gflops: number; readonly copyGBs: number };
  /** Median milliseconds of each variant that gave the reference's result, why others were left out, and which is used. */
  readonly shapes: readonly {
    readonly shape: string;
    readonly variant: string;
    readonly times: Readonly<Record<string, number>>;
    readonly leftOut: Readonly<Record<string, string>>;
  }[];
  readonly seconds: number;
}

/** Every call: what it takes, gives, and tells on the way. */
export interface Calls {
  /** Ratings of the images that are held out. */
  heldOut: { args: Record<string, never>; result: Float32Array; event: never };
  /** Opens the adapter and loads the model. `texts`: what the page's storage holds. */
  open: { args: { readonly texts: Readonly<Record<string, string>> }; result: EngineInfo; event: never };
  /** Decodes and scores an image, which the calls below then speak of. */
  score: {
    args: { readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string };
    result: ScoreResult;
    event: never;
  };
  /** Scores that image again with something done to it. */
  change: { args: Changes; result: ScoreResult; event: never };
  /** Why that image, as it was changed last, has its score. */
  explain: { args: Record<string, never>; result: MapsResult; event: never };
  /** Trains on the rated images that come with the page; told of each epoch. */
  train: { args: TrainArgs; result: TrainedResult; event: EpochEvent };
  /** Records one step of such a training, dispatch by dispatch; told of the share that is done. */
  step: { args: TrainArgs; result: StepData; event: number };
  /** Takes an image to be rated. */
  taught: {
    args: { readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string };
    result: TaughtImage;
    event: never;
  };
  /** Forgets an image. */
  untaught: { args: { readonly id: number }; result: null; event: never };
  /** Trains a head on the ratings; told of the share that is done. */
  teach: { args: TeachArgs; result: TaughtResult; event: number };
  /** Checks and measures the adapter. */
  machine: { args: Record<string, never>; result: MachineResult; event: MachineEvent };
  /** Loses the device, as a driver does that resets: what the page does then can be tried. */
  lose: { args: Record<string, never>; result: null; event: never };
}

export type CallName = keyof Calls;

/** The engine, wherever it runs, as a page calls it. */
export interface Engine {
  /** Has it do something; `signal` asks it to stop. */
  call<Name extends CallName>(
    name: Name,
    args: Calls[Name]['args'],
    options?: { readonly tell?: (event: Calls[Name]['event']) => void; readonly signal?: AbortSignal },
  ): Promise<Calls[Name]['result']>;
}

/** From the page. */
export type Request =
  | { readonly id: number; readonly name: CallName; readonly args: unknown }
  | { readonly id: number; readonly stop: true };

/** What went wrong, in words for people where they can do something about it. */
export interface Failure {
  readonly message: string;
  readonly advice?: string | undefined;
  readonly kind: 'user' | 'lost' | 'memory' | 'stopped' | 'bug';
}

/** What the worker says unasked. */
export type Note =
  /** Kernels compiled so far. */
  | { readonly kind: 'compiled'; readonly kernels: number }
  /** To be kept in the page's storage. */
  | { readonly kind: 'keep'; readonly name: string; readonly text: string }
  /** The device was lost and is being opened again. */
  | { readonly kind: 'lost' }
  /** Something that the adapter does wrong, which the engine goes without. */
  | { readonly kind: 'masked'; readonly what: readonly string[] };

/** From the worker. */
export type Answer =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure }
  | { readonly note: Note };
