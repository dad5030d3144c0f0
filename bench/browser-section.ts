import { digits, markdownTable } from './section.ts';

/** What a page measured (src/web/page/bench-file.ts): "Copy as JSON" under "Your GPU" gives a file of it for bench/results/. */
export interface MeasuredInPage {
  readonly measuredAt: string;
  readonly seconds: number;
  readonly browser: string;
  readonly results: {
    readonly checks: readonly { readonly name: string; readonly wrong?: string }[];
    readonly ceilings: { readonly gflops: number; readonly copyGBs: number };
    readonly shapes: readonly {
      readonly shape: string;
      readonly variant: string;
      readonly times: Readonly<Record<string, number>>;
      readonly leftOut: Readonly<Record<string, string>>;
    }[];
  };
}

/** Markdown of what a page measured, without the heading. What stands in it came from elsewhere: it is shown as code. */
export function renderBrowser({ measuredAt, seconds, browser, results }: MeasuredInPage): string[] {
  const { checks, ceilings, shapes } = results;
  const wrong = checks.filter((check) => check.wrong !== undefined);
  const code = (text: string) =>
    `\`${String(text)
      .replace(/[`|\r\n]/g, ' ')
      .slice(0, 300)}\``;
  const rows = shapes.map(({ shape, variant, times, leftOut }) => [
    code(shape),
    code(variant),
    digits(Number(times[variant] ?? Number.NaN)),
    Object.entries(times)
      .filter(([name]) => name !== variant)
      .map(([name, time]) => `${code(name)} ${digits(Number(time))}`)
      .join(', '),
    Object.keys(leftOut).map(code).join(', '),
  ]);
  return [
    `"Your GPU" of the pages (\`npm run web\`), ${measuredAt.slice(0, 10)}, ${Math.round(seconds)} s, ${code(browser)}.`,
    '',
    `${checks.length - wrong.length} of ${checks.length} things that were checked are right${wrong.length > 0 ? `; not ${wrong.map(({ name }) => code(name)).join(', ')}` : ''}. Ceilings: ${digits(ceilings.gflops)} GFLOP/s, ${digits(ceilings.copyGBs)} GB/s.`,
    '',
    markdownTable(['kernel and shape', 'fastest', 'ms', 'others, ms', 'left out'], rows),
  ];
}
