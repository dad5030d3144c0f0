/**
 * What the program runs in. A browser has no process, and a bundle made for one imports nothing of Node: this is the one module of
 * the engine that asks whether there is one.
 */
const { process } = globalThis as {
  readonly process?: {
    readonly versions?: { readonly node?: string };
    readonly env?: Readonly<Record<string, string | undefined>>;
  };
};

/** Whether this runs in Node, not in a browser. A page may have a `process`, `setImmediate` or `Buffer` of a polyfill. */
export const inNode = typeof process?.versions?.node === 'string';

/** A variable of the process's environment; undefined where it is not set or empty, and in a browser. */
export const environmentVariable = (name: string): string | undefined =>
  (inNode && process?.env?.[name]) || undefined;
