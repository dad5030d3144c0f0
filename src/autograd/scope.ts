/** What a scope frees: a tensor, or another handle on device memory. */
export interface Scoped {
  readonly shape: readonly number[];
  /** Gives back what it holds; twice is harmless. */
  dispose(): void;
}

/** Explicit lifetimes: the tensors made in the innermost open scope, freed together when it ends. */
const scopes: Set<Scoped>[] = [];

/** What has been made since the outermost open {@link allOrNone} began, kept or not. */
const made: Scoped[] = [];
let recording = 0;

/** Registers a new tensor with the innermost scope. */
export function track(tensor: Scoped): void {
  scopes.at(-1)?.add(tensor);
  if (recording > 0) made.push(tensor);
}

/**
 * Runs `body`, and if it throws frees every tensor made in it, those that were kept too: for whatever makes several that
 * are of use together only. The body must be synchronous.
 */
export function allOrNone<T>(body: () => T): T {
  const before = made.length;
  recording++;
  try {
    return body();
  } catch (error) {
    for (const tensor of made.splice(before)) tensor.dispose();
    throw error;
  } finally {
    if (--recording === 0) made.length = 0;
  }
}

/** Removes a tensor from whatever scope holds it. */
export function untrack(tensor: Scoped): void {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i]?.delete(tensor)) return;
}

/** Takes a tensor out of every scope: it lives until dispose(). */
export function keep<T extends Scoped>(tensor: T): T {
  untrack(tensor);
  return tensor;
}

/**
 * Runs `body` and frees every tensor made in it, except those in its result (a tensor, or arrays, maps and plain
 * objects of them), which pass to the enclosing scope. The body must be synchronous: GPU work is only recorded, so nothing waits.
 */
export function scope<T>(body: () => T): T {
  const own = new Set<Scoped>();
  scopes.push(own);
  let result: T;
  try {
    result = body();
  } catch (error) {
    scopes.pop();
    for (const tensor of own) tensor.dispose();
    throw error;
  }
  scopes.pop();
  if (result instanceof Promise) {
    for (const tensor of own) tensor.dispose();
    // What becomes of the promise follows from this mistake, which is thrown.
    result.catch(() => {});
    throw new Error('scope() takes a synchronous function; read results after it');
  }
  passOn(result, own, scopes.at(-1));
  for (const tensor of own) tensor.dispose();
  return result;
}

/** The tensors in `value` go from a scope to the one around it. Once an op runs: a generator would cost more than most ops. */
function passOn(value: unknown, from: Set<Scoped>, to: Set<Scoped> | undefined): void {
  if (value === null || typeof value !== 'object') return;
  if ('dispose' in value && 'shape' in value) {
    const tensor = value as Scoped;
    if (from.delete(tensor)) to?.add(tensor);
  } else if (Array.isArray(value)) for (const item of value) passOn(item, from, to);
  else if (value instanceof Map) for (const item of value.values()) passOn(item, from, to);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) passOn(item, from, to);
}
