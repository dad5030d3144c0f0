import { type StepData, stepFormat, stepVersion } from '../step-data.ts';

/** Base64 of gzip of JSON, as it is in the page. */
export async function unpack<T = StepData>(base64: string): Promise<T> {
  const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  return gunzipped(new Blob([bytes]).stream());
}

/** What gzip of JSON holds. */
export const gunzipped = <T>(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<T> =>
  new Response(stream.pipeThrough(new DecompressionStream('gzip'))).json();

/** A recording from a file that somebody chose: JSON, or a page like this one. */
export async function readRecording(file: Blob): Promise<StepData> {
  const text = await file.text();
  if (!text.trimStart().startsWith('<')) return checked(JSON.parse(text));
  const packed = /<script type="application\/octet-stream" id="data">([A-Za-z0-9+/=\s]*)<\/script>/.exec(
    text,
  )?.[1];
  if (packed === undefined) throw new Error('this page holds no recording');
  return checked(await unpack(packed));
}

function checked(value: unknown): StepData {
  const data = value as Partial<StepData> | null;
  if (data?.format !== stepFormat) throw new Error('this file holds no recording of a training step');
  if (data.version !== stepVersion)
    throw new Error(`this recording has version ${data.version}, and this page reads ${stepVersion}`);
  return data as StepData;
}
