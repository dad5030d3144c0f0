// Copies a block of rows between matrices of different widths: out[r, out_at + c] = x[r, x_at + c] for c < width.
// Slices and concatenations along any axis are this, with the axes before as rows and those after folded into the
// columns; x_stride 0 repeats one row. Traffic: a read and a write an element.
//@work 0 operations, 4 * (size + width + (x_stride != 0) * (size - width)) bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params {
  size: u32, // rows · width
  width: u32,
  x_stride: u32,
  x_at: u32,
  out_stride: u32,
  out_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // words: f32 and u32 alike
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

fn element(i: u32) {
  let row = i / params.width;
  let column = i % params.width;
  out[row * params.out_stride + params.out_at + column] = x[row * params.x_stride + params.x_at + column];
}
