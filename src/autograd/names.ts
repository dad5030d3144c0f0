let current = '';

/**
 * Runs `body` as a part of the model: errors, traces and captures give what is computed in it by this name, behind those of the parts
 * around it, as in `text.blocks.3.mlp.c_fc`. Gradients have the names of their ops.
 */
export function named<T>(name: string, body: () => T): T {
  return within(current === '' ? name : `${current}.${name}`, body);
}

/** The name of the part that runs, '' outside of any. */
export function currentName(): string {
  return current;
}

/** Runs `body` under a whole name. */
export function within<T>(name: string, body: () => T): T {
  const outer = current;
  current = name;
  try {
    return body();
  } finally {
    current = outer;
  }
}
