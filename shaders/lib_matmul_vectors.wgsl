// The operands of a matrix product that reads them by vec4.

const HALF_B = 0u; // B holds halves, two to a word

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
//@if HALF_B
@group(0) @binding(2) var<storage, read> b_halves: array<vec2u>;
//@else
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
//@end

// The vec4 of B at i.
fn b_at(i: u32) -> vec4f {
  //@if HALF_B
  let words = b_halves[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  //@else
  return b[i];
  //@end
}
