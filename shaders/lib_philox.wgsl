// Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random words as a function of
// a counter and a key. The same draws in any order, and as src/common/random.ts makes them on the host.

// The upper 32 bits of a·b, by 16-bit halves: WGSL has no 64-bit product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  let middle = a1 * b0 + (low >> 16u); // at most 2^32 - 2^16 - ... : no overflow
  let middle2 = a0 * b1 + (middle & 0xffffu);
  return a1 * b1 + (middle >> 16u) + (middle2 >> 16u);
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high0 = multiply_high(0xD2511F53u, c.x);
    let low0 = 0xD2511F53u * c.x;
    let high1 = multiply_high(0xCD9E8D57u, c.z);
    let low1 = 0xCD9E8D57u * c.z;
    c = vec4u(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
    k += vec2u(0x9E3779B9u, 0xBB67AE85u);
  }
  return c;
}
