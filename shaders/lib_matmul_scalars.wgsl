// The operands of a matrix product that reads them an element at a time.

const HALF_B = 0u; // B holds halves, two to a word

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;

fn b_at(i: u32) -> f32 {
  if (HALF_B == 1u) {
    return unpack2x16float(b[i / 2u])[i & 1u];
  }
  return bitcast<f32>(b[i]);
}
