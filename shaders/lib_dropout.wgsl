// Which elements dropout keeps: counter (i / 4, step, stream, 0), key: the seed; four neighbors share a draw of four words.
// The kernel's params have `stream` and `threshold`, p · 2^32: a word below it drops.

//@include "lib_philox.wgsl"

fn words_of(quad: u32) -> vec4u {
  return philox(vec4u(quad, seed[1], params.stream, 0u), vec2u(seed[0], 0u));
}
