import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { inBrowser } from '../chromium.ts';
import { TestBrowser } from './browser.ts';
import { tinySite } from './tiny-site.ts';

const folder = 'dist/web/lessons';
const pages = () =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.html'));
const markdownOf = (page: string) =>
  readFileSync(join('docs', page.replace(/index\.html$/, 'README.md').replace(/\.html$/, '.md')), 'utf8');

describe('the lessons beside the pages', () => {
  let browser: TestBrowser;
  let page: Awaited<ReturnType<TestBrowser['open']>>;
  beforeAll(async () => {
    browser = await TestBrowser.launch(tinySite);
    page = await browser.open('/lessons/course/index.html', { viewport: { width: 390, height: 800 } });
  }, 60_000);
  afterAll(() => browser?.close());

  inBrowser('are all there, whole, fit a phone, and every link of theirs leads somewhere', async () => {
    expect(pages().length).toBe(18);
    for (const name of pages()) {
      await page.goto(`${browser.origin}/lessons/${name}`);
      const text = markdownOf(name);
      expect(await page.locator('h1').count(), name).toBe(1);
      expect(await page.locator('pre').count(), name).toBe((text.match(/^```\w/gm) ?? []).length);
      expect(await page.evaluate('document.documentElement.scrollWidth'), name).toBeLessThanOrEqual(390);
      const links = await page
        .locator('a')
        .evaluateAll((all) => all.map((link) => (link as unknown as { href: string }).href));
      for (const link of links.filter((one) => one.startsWith(browser.origin)))
        expect(tinySite(new URL(link).pathname), `${name}: ${link}`).toBeDefined();
    }
    await page.goto(`${browser.origin}/`);
    await page.getByRole('link', { name: /^a course/ }).click();
    await page.getByRole('link', { name: '1. One line' }).click();
    expect(await page.title()).toMatch(/^1\. One line/);
  });

  inBrowser('reach no other host and say nothing on the console', () => {
    expect(browser.trouble).toEqual([]);
  });
});
