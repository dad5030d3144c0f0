const names = new Intl.Collator('en', { numeric: true });

/** Paths folder by folder, names as people order them: `img2` before `img10`, whatever their case. */
export function inNaturalOrder(paths: readonly string[]): string[] {
  return paths
    .map((path) => ({ path, parts: path.split(/[/\\]/) }))
    .sort((a, b) => compareParts(a.parts, b.parts) || (a.path < b.path ? -1 : 1))
    .map(({ path }) => path);
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = names.compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
