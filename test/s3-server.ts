import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A store with what S3's interface says of GET, ranges and ListObjectsV2, which checks every signature by itself. */
export interface S3Server {
  readonly env: Record<string, string>;
  /** `bucket/key` to bytes. */
  readonly objects: Map<string, Buffer>;
  /** What was asked for: `GET /bucket/key?query`, decoded, with `bytes=…` where a range was. */
  readonly requests: string[];
  /** Asked before each answer: true where it has answered. */
  intervene: (request: IncomingMessage, response: ServerResponse, path: string) => boolean;
  /** Milliseconds before each answer. */
  delay: number;
  /** Keys of a page of a listing. */
  pageKeys: number;
  /** Requests at once, the most so far. */
  readonly busy: { now: number; most: number };
  stop(): Promise<void>;
}

const credentials = { id: 'AKIDTEST', secret: 'se/cr+et', token: 'to/ken==', region: 'eu-test-1' };

export async function startS3(): Promise<S3Server> {
  const http = createServer((request, response) => {
    busy.now++;
    busy.most = Math.max(busy.most, busy.now);
    response.on('close', () => busy.now--);
    setTimeout(() => answer(server, request, response), server.delay);
  });
  const busy = { now: 0, most: 0 };
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  const server: S3Server = {
    env: {
      AWS_ACCESS_KEY_ID: credentials.id,
      AWS_SECRET_ACCESS_KEY: credentials.secret,
      AWS_SESSION_TOKEN: credentials.token,
      AWS_REGION: credentials.region,
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    },
    objects: new Map(),
    requests: [],
    intervene: () => false,
    delay: 0,
    pageKeys: 1000,
    busy,
    async stop() {
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  };
  return server;
}

export function refuse(response: ServerResponse, status: number, code: string): true {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>no</Message></Error>`);
  return true;
}

function answer(server: S3Server, request: IncomingMessage, response: ServerResponse): void {
  const [rawPath = '', query = ''] = request.url!.split('?');
  const path = decodeURIComponent(rawPath).slice(1);
  const { range } = request.headers;
  server.requests.push(`GET /${path}${query && `?${decodeURIComponent(query)}`}${range ? ` ${range}` : ''}`);
  if (server.intervene(request, response, path)) return;
  const wrong = signatureError(request, rawPath, query);
  if (wrong) {
    refuse(response, 403, wrong);
    return;
  }
  const list = new URLSearchParams(query);
  if (list.get('list-type') === '2') {
    sendPage(server, path.replace(/\/$/, ''), list, response);
    return;
  }
  const bytes = server.objects.get(path);
  if (!bytes) {
    refuse(response, 404, 'NoSuchKey');
    return;
  }
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
  const match = request.headers['if-match'];
  if (match !== undefined && match !== etag) {
    refuse(response, 412, 'PreconditionFailed');
    return;
  }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  if (from === undefined) {
    response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
    return;
  }
  const part = bytes.subarray(Number(from), to ? Number(to) + 1 : undefined);
  const place = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
  response.writeHead(206, { etag, 'content-length': part.length, 'content-range': place }).end(part);
}

/** As Amazon orders keys: by their bytes in UTF-8. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function sendPage(server: S3Server, bucket: string, query: URLSearchParams, response: ServerResponse): void {
  const prefix = query.get('prefix') ?? '';
  const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString();
  const keys = [...server.objects.keys()]
    .filter((name) => name.startsWith(`${bucket}/`))
    .map((name) => name.slice(bucket.length + 1))
    .filter((key) => key.startsWith(prefix))
    .sort(byBytes)
    .filter((key) => byBytes(key, after) > 0);
  const page = keys.slice(0, server.pageKeys);
  const truncated = page.length < keys.length;
  const escaped = (key: string) =>
    encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+').replaceAll("'", '&#39;');
  const next = truncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString('base64')}</NextContinuationToken>`
    : '';
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name>${next}<EncodingType>url</EncodingType><IsTruncated>${truncated}</IsTruncated>${page.map((key) => `<Contents><Key>${escaped(key)}</Key><Size>1</Size></Contents>`).join('')}</ListBucketResult>`,
  );
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/**
 * What is wrong with a signature, in S3's words. Computed from the request as it came, by
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
 */
function signatureError(request: IncomingMessage, rawPath: string, query: string): string | undefined {
  const { headers } = request;
  const [, scope, names, signature] =
    /^AWS4-HMAC-SHA256 Credential=AKIDTEST\/(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  const date = `${headers['x-amz-date']}`;
  if (!scope || !names || !signature) return 'AccessDenied';
  if (scope !== `${date.slice(0, 8)}/${credentials.region}/s3/aws4_request`)
    return 'AuthorizationHeaderMalformed';
  if (headers['x-amz-security-token'] !== credentials.token) return 'InvalidToken';
  const moment = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(Date.now() - moment) < 300_000)) return 'RequestTimeTooSkewed';
  const signed = names.split(';');
  const required = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  if (required.some((name) => !signed.includes(name))) return 'AccessDenied';
  const parameters = query === '' ? [] : query.split('&');
  const canonical = [
    request.method,
    rawPath,
    parameters
      .map((one) => one.split('=').map((text) => encodeAll(decodeURIComponent(text.replaceAll('+', ' ')))))
      .sort(([a], [b]) => byBytes(a!, b!))
      .map((pair) => pair.join('='))
      .join('&'),
    ...signed.map((name) => `${name}:${`${headers[name]}`.trim().replace(/ +/g, ' ')}`),
    '',
    names,
    headers['x-amz-content-sha256'],
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  );
  const key = scope
    .split('/')
    .reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${credentials.secret}`);
  return hmac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
}

const encodeAll = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9._~-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
