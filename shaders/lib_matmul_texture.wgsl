// Operand B of matmul_simd_texture.wgsl, where it lies in a texture: a texel is four neighbors of a row. A frozen weight
// (src/kernels/matmul/packed-weight.ts) may be float16, which a texture converts as it is read, and is INTERLEAVED: rows
// 8i to 8i + 7 of B are one row of the texture, which has the first texel of each, then the second of each, and so on. The 8 lanes
// of a tile, which read a row each, then read one stream.

//@if HALF_B
@group(0) @binding(2) var b: texture_storage_2d<rgba16float, read>;
//@else
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;
//@end

// Four elements of a row of B, from element 4·along on.
fn b_at(along: u32, row: u32) -> vec4f {
  //@if INTERLEAVED
  return textureLoad(b, vec2u(8u * along + row % 8u, row / 8u));
  //@else
  return textureLoad(b, vec2u(along, row));
  //@end
}
