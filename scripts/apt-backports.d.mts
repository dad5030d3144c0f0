export function backportsSource(
  files: readonly { readonly path: string; readonly text: string }[],
  codename: string,
): string | null;
