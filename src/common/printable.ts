/**
 * C0 and C1 controls, line and paragraph separators, the marks that turn the direction of text, byte order marks, and halves
 * of surrogate pairs. What a terminal makes of them is not what the name of a file should decide.
 */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const short: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/**
 * A text from outside (a name, a tensor's metadata) as it goes to a terminal: characters that would steer it stand escaped,
 * as `\x1b` or `\u202e`. Files keep the text as it is.
 *
 * @param options.lines lines stay lines: for text of our own that holds names already made printable
 */
export function printable(text: string, options: { readonly lines?: boolean } = {}): string {
  return text.replace(unsafe, (character) => {
    if (options.lines && character === '\n') return character;
    const code = character.charCodeAt(0);
    return (
      short[character] ??
      (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
    );
  });
}
