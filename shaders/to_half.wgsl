// out = x as halves, two to a word, the first in the low bits; where `size` is odd the last word's upper half is 0.
// WGSL leaves open what pack2x16float makes of a number beyond the largest half, 65504, so what would round beyond it is
// set to infinity here. A lane makes PER_LANE words, 64 apart. Traffic: a read of 4 bytes and a write of 2 an element.
//@work 0 operations, 6 * size bytes
//@budget registers 24, shared 0

const PER_LANE = 4u;

struct Params {
  size: u32, // elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

// The bits of a half. By bits, since shaders may take it that no float is infinite or NaN.
fn half(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u; // NaN
  }
  if (magnitude >= 0x477ff000u) {
    return sign | 0x7c00u; // 65520 and above
  }
  return pack2x16float(vec2f(value, 0.0)) & 0xffffu;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let word = start + j * 64u;
    let i = 2u * word;
    if (i < params.size) {
      var upper = 0u;
      if (i + 1u < params.size) {
        upper = half(x[i + 1u]);
      }
      out[word] = half(x[i]) | (upper << 16u);
    }
  }
}
