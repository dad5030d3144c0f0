// out[i] = x[i] · min(1, limit / (norm + 1e-6)), norm the root of squares[0]: the factor of torch.nn.utils.clip_grad_norm_,
// with the small number that keeps a vanishing norm harmless. Traffic: a read
// and a write an element.
//@work size operations, 8 * size + 4 bytes
//@budget registers 24, shared 0

//@include "lib_elementwise.wgsl"

struct Params { size: u32, limit: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>; // the sum of all gradients' squares
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  out[i] = x[i] * min(1.0, params.limit / (sqrt(squares[0]) + 1e-6));
}
