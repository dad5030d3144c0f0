import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContext, chromium as driver, type Page } from 'playwright-core';
import { chromium } from '../chromium.ts';

/** What is served at a path. */
type Serve = (path: string) => { readonly type: string; readonly body: Uint8Array | string } | undefined;

/** WebGPU on the processor, the only one of a machine without a GPU. */
const flags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--disable-vulkan-surface',
];

/** A browser with WebGPU, and a server of this machine that is all it may reach. */
export class TestBrowser {
  readonly origin: string;
  readonly #server: Server;
  readonly #browser: Browser;
  /** What a page asked of other hosts, and errors on its console: both stay empty. */
  readonly trouble: string[] = [];

  private constructor(server: Server, browser: Browser) {
    this.#server = server;
    this.#browser = browser;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async launch(serve: Serve, args: readonly string[] = flags) {
    const server = createServer((request, response) => {
      const found = serve(new URL(request.url ?? '/', 'http://localhost').pathname);
      response.writeHead(found ? 200 : 404, {
        'content-type': found?.type ?? 'text/plain',
        // The strictest that the pages are to live with, for their worker as well: not even WebAssembly.
        'content-security-policy': "default-src 'self'; img-src 'self' blob: data:",
      });
      response.end(found?.body ?? 'not here');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const browser = await driver.launch({ executablePath: chromium!, args: [...root, ...args] });
    return new TestBrowser(server, browser);
  }

  /** A page at a path of the server. */
  async open(path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context: BrowserContext = await this.#browser.newContext(options);
    await context.route(
      (url) => url.origin !== this.origin && url.protocol !== 'blob:' && url.protocol !== 'data:',
      (route) => {
        this.trouble.push(`request: ${route.request().url()}`);
        return route.abort();
      },
    );
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') this.trouble.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.trouble.push(`error: ${error.message}`));
    await page.goto(this.origin + path);
    return page;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
