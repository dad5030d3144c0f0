// out = x with its axes in another order: element (i0, i1, …) of the output is x[i0·stride_0 + i1·stride_1 + …], the
// strides being those of x in the output's order. The launcher first joins axes that stay together, so that most
// permutations are of two or three axes (RANK); a division by an axis' size yields each coordinate, from the last on.
//
// Traffic: a read and a write an element; writes run along memory, reads jump by
// the last axis' stride, which costs a whole cache line an element where that is long, but no barrier and no shared memory.
//@work 0 operations, 8 * size bytes
//@budget registers 48, shared 0

//@include "lib_elementwise.wgsl"

const RANK = 4u;

struct Params {
  size: u32,
  //@for d in 0..RANK
  count_$d: u32,
  stride_$d: u32,
  //@end
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // words: f32 and u32 alike
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

fn element(i: u32) {
  var rest = i;
  var at = 0u;
  //@for d in 0..RANK
  at += rest % params.count_$d * params.stride_$d;
  rest /= params.count_$d;
  //@end
  out[i] = x[at];
}
