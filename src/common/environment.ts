/** Whether this runs in Node, not in a browser. */
export const inNode = typeof process !== 'undefined' && Boolean(process.versions?.node);

/** A variable of the process's environment; undefined where it is not set or empty, and in a browser. */
export function environmentVariable(name: string): string | undefined {
  return (inNode && process.env[name]) || undefined;
}

/** One of Node's built-in modules without an import, which a browser could not resolve; undefined there. */
export function builtin<T extends 'node:fs' | 'node:os' | 'node:path'>(name: T) {
  return inNode ? process.getBuiltinModule(name) : undefined;
}
