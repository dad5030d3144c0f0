import { setTimeout as sleep } from 'node:timers/promises';
import type { AwsV4Signer } from 'aws4fetch';
import { UserError } from '../../common/errors.ts';
import { packageVersion } from '../../common/package.ts';
import { optional } from '../optional.ts';
import type { S3Place } from './s3-url.ts';

/** When requests are tried again, and given up. */
export interface S3Retries {
  /** Tries of a request, or of going on with one whose answer broke off. */
  readonly attempts: number;
  /** Milliseconds before the second try at most; each further one may take twice as long. */
  readonly firstDelay: number;
  /** Milliseconds without a byte after which a try is given up. */
  readonly idle: number;
}

const standard: S3Retries = { attempts: 6, firstDelay: 250, idle: 30_000 };

/** Bytes of an error's text that are read. */
const errorBytes = 2 ** 16;

/** What a store answered, where that is no success. */
export class S3Error extends UserError {
  /** HTTP status. */
  readonly status: number;
  /** Of S3, such as NoSuchKey; empty where the answer has none. */
  readonly code: string;

  constructor(url: string, status: number, code: string, advice?: string) {
    super(`${url}: ${code === '' ? `HTTP status ${status}` : `${code} (HTTP ${status})`}`, advice);
    this.status = status;
    this.code = code;
  }
}

/** What passes by itself: overload, and connections that break. */
function isTransient(error: unknown): boolean {
  if (error instanceof S3Error)
    return error.status === 429 || error.status >= 500 || error.code === 'RequestTimeout';
  // fetch throws TypeError for what goes wrong on the way, such as a connection that is refused or ends too early.
  return error instanceof IdleError || error instanceof TypeError;
}

class IdleError extends Error {}

/** A part of an object's bytes. */
export interface ByteRange {
  readonly from: number;
  /** Past the last one. */
  readonly to: number;
}

/**
 * A store that speaks S3, by the usual variables of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN sign
 * requests (Signature Version 4), or AWS_NO_SIGN_REQUEST=YES leaves them unsigned for public buckets; AWS_REGION; AWS_ENDPOINT_URL_S3 or
 * AWS_ENDPOINT_URL name a store other than Amazon's, whose buckets are then part of the path.
 */
export class S3 {
  readonly #env: NodeJS.ProcessEnv;
  readonly #retries: S3Retries;
  readonly #keys = new Map<string, ArrayBuffer>();
  #signer: Promise<typeof AwsV4Signer> | undefined;

  constructor(env: NodeJS.ProcessEnv = process.env, retries: Partial<S3Retries> = {}) {
    this.#env = env;
    this.#retries = { ...standard, ...retries };
  }

  /**
   * The bytes of an answer, as they come. A connection that breaks is taken up again where it ended, by a range of the same object.
   *
   * @param begun called once with the answer's length, before its bytes; what it throws ends the request, and it may wait
   * @throws S3Error for an answer that is no success
   * @throws UserError where the store cannot be reached
   */
  async *read(
    place: S3Place,
    options: {
      readonly query?: Readonly<Record<string, string>>;
      readonly range?: ByteRange | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly begun?: ((length: number) => Promise<void> | void) | undefined;
    } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { query = {}, range, signal, begun } = options;
    const from = range?.from ?? 0;
    let at = from;
    let end = Number.POSITIVE_INFINITY;
    // Empty where nothing tells whether the rest would be of the same object.
    let etag: string | null = null;
    for (let failures = 0; ; ) {
      const idleTimer = new IdleTimer(this.#retries.idle, signal);
      try {
        const asked = range || at > 0 ? { range: `bytes=${at}-${range ? range.to - 1 : ''}` } : undefined;
        const headers = { ...asked, ...(etag && { 'if-match': etag }) };
        const response = await this.#send(place, query, headers, idleTimer.signal);
        if (asked && response.status !== 206)
          throw new UserError(`${urlOf(place)}: the store gives no ranges`, 'Copy it to a disk first.');
        if (etag === null) {
          // Of an object that is stored compressed, fetch gives what was compressed: other bytes, and another number of them.
          const plain = !response.headers.has('content-encoding');
          etag = (plain && response.headers.get('etag')) || '';
          const length = Number((plain && response.headers.get('content-length')) || Number.NaN);
          if (length >= 0) end = from + length;
          idleTimer.pause();
          await begun?.(length);
        }
        idleTimer.go();
        for await (const bytes of response.body ?? []) {
          at += bytes.length;
          failures = 0;
          idleTimer.pause();
          yield bytes;
          idleTimer.go();
        }
        return;
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const cause = idleTimer.idle ? new IdleError(`no answer for ${this.#retries.idle / 1000} s`) : error;
        if (!isTransient(cause)) throw cause;
        if (at >= end) return; // broken, but after the last byte
        if (++failures >= this.#retries.attempts || (at > from && !etag)) throw unreachable(place, cause);
      } finally {
        idleTimer.end();
      }
      const longest = this.#retries.firstDelay * 2 ** failures;
      await sleep(longest * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  }

  async #send(
    place: S3Place,
    query: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const url = this.#address(place);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const sent = await this.#signed(url, {
      ...headers,
      'user-agent': `clip-agiqa-webgpu/${packageVersion()}`,
    });
    // A signed request goes nowhere that the environment does not name.
    const response = await fetch(url, { headers: sent, redirect: 'manual', signal });
    if (response.ok) return response;
    const code = /<Code>([^<]{1,100})<\/Code>/.exec(await beginning(response))?.[1] ?? '';
    throw new S3Error(urlOf(place), response.status, code, adviceFor(response, code));
  }

  #address({ bucket, key }: S3Place): URL {
    const path = key.split('/').map(encodeSegment).join('/');
    const own = this.#env.AWS_ENDPOINT_URL_S3 || this.#env.AWS_ENDPOINT_URL;
    if (own) {
      if (!/^https?:$/.test(URL.canParse(own) ? new URL(own).protocol : ''))
        throw new UserError('AWS_ENDPOINT_URL_S3 is no http:// or https:// URL', 'Write https://HOST:PORT.');
      return new URL(`${own.replace(/\/+$/, '')}/${bucket}/${path}`);
    }
    const host = `s3.${this.#region}.amazonaws.com`;
    // No certificate covers a bucket with dots as a part of the host.
    return /^[a-z0-9-]+$/.test(bucket)
      ? new URL(`https://${bucket}.${host}/${path}`)
      : new URL(`https://${host}/${bucket}/${path}`);
  }

  get #region(): string {
    return this.#env.AWS_REGION || this.#env.AWS_DEFAULT_REGION || 'us-east-1';
  }

  async #signed(url: URL, headers: Record<string, string>): Promise<Headers> {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_NO_SIGN_REQUEST } = this.#env;
    if (/^(yes|true|1)$/i.test(AWS_NO_SIGN_REQUEST ?? '')) return new Headers(headers);
    if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY)
      throw new UserError(
        's3:// needs credentials, and AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set',
        'Set them (with the AWS CLI: eval "$(aws configure export-credentials --format env)"), or AWS_NO_SIGN_REQUEST=YES for a public bucket.',
      );
    const Signer = await (this.#signer ??= optional('aws4fetch', 's3://', async () => {
      const { AwsV4Signer } = await import('aws4fetch');
      return AwsV4Signer;
    }));
    const signer = new Signer({
      url: url.href,
      method: 'GET',
      headers,
      service: 's3',
      region: this.#region,
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
      cache: this.#keys,
    });
    return (await signer.sign()).headers;
  }
}

export const urlOf = ({ bucket, key }: S3Place): string => `s3://${bucket}/${key}`;

/** As the signature has it (RFC 3986): encodeURIComponent leaves five characters more. */
const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The signal of one try, which also aborts when nothing has come for a while. */
class IdleTimer {
  idle = false;
  readonly #controller = new AbortController();
  readonly #idleMs: number;
  readonly #outer: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, outer: AbortSignal | undefined) {
    this.#idleMs = idleMs;
    this.#outer = outer;
    if (outer?.aborted) this.#abort();
    outer?.addEventListener('abort', this.#abort);
    this.go();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #abort = () => this.#controller.abort();

  go(): void {
    this.pause();
    this.#timer = setTimeout(() => {
      this.idle = true;
      this.#abort();
    }, this.#idleMs);
  }

  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Also lets go of what the answer still has. */
  end(): void {
    this.pause();
    this.#outer?.removeEventListener('abort', this.#abort);
    this.#abort();
  }
}

async function beginning(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    size += piece.length;
    if (size >= errorBytes) break;
  }
  return Buffer.concat(pieces).toString('utf8');
}

function adviceFor({ status, headers }: Response, code: string): string | undefined {
  const region = headers.get('x-amz-bucket-region');
  if (status >= 300 && status < 400)
    return region
      ? `The bucket is in another region: set AWS_REGION=${region}.`
      : 'Set AWS_REGION, or the endpoint.';
  if (status === 412) return 'It was changed while it was read; run again.';
  if (status === 401 || status === 403 || /Token/.test(code))
    return 'Check the credentials in the environment, and that they may s3:GetObject and s3:ListBucket.';
  return undefined;
}

function unreachable(place: S3Place, error: unknown): unknown {
  if (error instanceof UserError) return error;
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  const reason = cause?.code || cause?.message || message;
  return new UserError(
    `${urlOf(place)}: cannot be read (${reason})`,
    'Check the network and AWS_ENDPOINT_URL_S3.',
    {
      cause: error,
    },
  );
}

/** The store of the environment. */
export const s3 = new S3();
