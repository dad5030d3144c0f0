/**
 * NumPy's legacy generator, `numpy.random.RandomState(seed)`: the Mersenne Twister MT19937 (Matsumoto and
 * Nishimura 1998) with the 2002 integer seeding, and NumPy's own bounded draws. scikit-learn's splits come from it.
 */

/** n and m of the paper. */
const stateWords = 624;
const shiftWords = 397;
const upperMask = 0x80000000;
const lowerMask = 0x7fffffff;
const matrix = 0x9908b0df;

export class MersenneTwister {
  readonly #state = new Uint32Array(stateWords);
  #position = stateWords;

  /** `seed` is an unsigned 32-bit integer, as RandomState demands. */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < stateWords; i++) {
      const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
      state[i] = Math.imul(1812433253, previous) + i;
    }
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < stateWords; i++) {
      const mixed = (state[i]! & upperMask) | (state[(i + 1) % stateWords]! & lowerMask);
      state[i] = state[(i + shiftWords) % stateWords]! ^ (mixed >>> 1) ^ (mixed & 1 ? matrix : 0);
    }
    this.#position = 0;
  }

  /** The next unsigned 32-bit word, tempered. */
  nextWord(): number {
    if (this.#position === stateWords) this.#twist();
    let word = this.#state[this.#position++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  /** Uniform in 0 … max, both included: words masked to the bits of max, rejected while larger. */
  interval(max: number): number {
    const mask = max === 0 ? 0 : 0xffffffff >>> Math.clz32(max);
    let value: number;
    do value = (this.nextWord() & mask) >>> 0;
    while (value > max);
    return value;
  }

  /** `RandomState.permutation(n)`: 0 … n − 1 shuffled from the end. */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.interval(i);
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    return order;
  }
}
