import { existsSync } from 'node:fs';
import { it } from 'vitest';

const known = [
  ...['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'],
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** A browser that is installed: the one CHROMIUM names, or in one of the usual places. */
export const chromium: string | undefined = process.env.CHROMIUM ?? known.find((path) => existsSync(path));

/** Tests in a browser: left out where there is none, except in CI, where they then fail. */
export const inBrowser = it.runIf(chromium !== undefined || process.env.CI !== undefined);

if (!chromium)
  console.warn('No Chromium was found, so tests in a browser are left out: install one, or set CHROMIUM.');
