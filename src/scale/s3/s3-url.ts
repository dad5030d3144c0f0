import { UserError } from '../../common/errors.ts';

/** An object of a bucket, or with a key that names none, a prefix. */
export interface S3Place {
  readonly bucket: string;
  /** Empty for the whole bucket. */
  readonly key: string;
}

export const isS3 = (text: string): boolean => text.startsWith('s3://');

/**
 * Parses `s3://BUCKET/KEY`. The key is taken as it is, as other tools take it: nothing in it is percent-encoded.
 *
 * @throws UserError where that is no such URL, or the key has a segment `.` or `..`, which a URL of HTTP cannot name
 */
export function parseS3(text: string): S3Place {
  const [, bucket, key = ''] = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:\/(.*))?$/s.exec(text) ?? [];
  if (bucket === undefined) throw new UserError(`${text}: is no s3:// URL`, 'Write s3://BUCKET/KEY.');
  if (key.includes('\0') || key.split('/').some((part) => part === '.' || part === '..'))
    throw new UserError(`${text}: its key has a segment . or ..`, 'Name the object by its whole key.');
  return { bucket, key };
}

/** The URL of a prefix without slashes at its end, as all that lies in it is compared with. */
export const s3Folder = (text: string): string => {
  const { bucket, key } = parseS3(text);
  return `s3://${bucket}/${key}`.replace(/\/+$/, '');
};

/** Whether a URL is a prefix itself or lies in it, where the prefix is as {@link s3Folder} gives it. */
export const isWithinS3 = (folder: string, url: string): boolean =>
  url === folder || url.startsWith(`${folder}/`);
