let program: string | undefined;

/** Says that the commands run as sub-commands of this program, as they do in the installed package. */
export function invokedAs(name: string): void {
  program = name;
}

/** How a command is typed, as it was this time: `node dist/NAME.js` in a clone, `clip-agiqa-webgpu NAME` in the installed package. */
export const commandLine = (name: string): string =>
  program === undefined ? `node dist/${name}.js` : `${program} ${name}`;

/** A word of a command line as a shell reads it. */
export const shellWord = (word: string): string =>
  /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Command lines in help texts, which are written as in a clone, as they are typed this time. */
export const asInvoked = (text: string): string =>
  text.replace(/\bnode dist\/([\w-]+)\.js\b/g, (_, name: string) => commandLine(name));
