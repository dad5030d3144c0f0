// out[i] = a[i] (+ - * /) b[i], either operand repeating with its own period: b of period n is a row added to every
// row of a, b of period 1 is a scalar. Traffic: two reads and a write an element.
//@work size operations, 4 * (size + min(size, a_period) + min(size, b_period)) bytes
//@budget registers 32, shared 0

//@include "lib_elementwise.wgsl"

const OPERATION = 0u; // 0 add, 1 subtract, 2 multiply, 3 divide

struct Params { size: u32, a_period: u32, b_period: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  let x = a[i % params.a_period];
  let y = b[i % params.b_period];
  switch OPERATION {
    case 0u: { out[i] = x + y; }
    case 1u: { out[i] = x - y; }
    case 2u: { out[i] = x * y; }
    default: { out[i] = x / y; }
  }
}
