// out = act(Aᵀ·B + bias) + residual by register tiles, A as [K][M] and B as [K][N].
//
// As matmul_subgroup_nk.wgsl, with 32 x 32 outputs a workgroup: a lane loads the vec4 of its own 4 rows of the result and
// of its own 4 columns at each step of k, 8 loads for 512 multiply-adds every 4 steps. This is the gradient of a linear
// layer by its weight, dzᵀ·x, where k counts the rows of the batch: any K will do, steps beyond it count as zeros.
//
// M and N must be multiples of 4. Rows and columns beyond the matrix are read from its last ones and not written.

enable subgroups;

const BIAS = 0u;
const RESIDUAL = 0u;
const PREACTIVATION = 0u;
const ACTIVATION = 0u; // see lib_activation.wgsl
const HALF_B = 0u; // B holds halves, two to a word
const FULL_B = 1u;

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in vec4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
//@if HALF_B
@group(0) @binding(2) var<storage, read> b_halves: array<vec2u>;
//@end
//@if FULL_B
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
//@end
//@if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
//@end
//@if RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<f32>;
//@end
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
//@if PREACTIVATION
@group(0) @binding(6) var<storage, read_write> preactivation: array<f32>;
//@end

fn b_at(i: u32) -> vec4f {
  //@if HALF_B
  let words = b_halves[i];
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  //@end
  //@if FULL_B
  return b[i];
  //@end
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = tile.y * 32u;
  let column = tile.x * 32u + lane * 4u;
  let m4 = params.m / 4u;
  let n4 = params.n / 4u;
  let at_a = tile.z * params.a_batch + min(row / 4u + lane, m4 - 1u);
  let at_b = tile.z * params.b_batch + min(column / 4u, n4 - 1u);
  //@for o in 0..8
  //@for r in 0..4
  //@for j in 0..4
  var sum_$o_$r_$j = 0.0;
  //@end
  //@end
  //@end
  for (var k = 0u; k < params.k; k += 4u) {
    //@for i in 0..4
    let k_$i = min(k + $iu, params.k - 1u);
    let own_$i = select(vec4f(), a[at_a + k_$i * m4], k + $iu < params.k);
    let b_$i = b_at(at_b + k_$i * n4);
    //@end
    //@for o in 0..8
    {
      //@for i in 0..4
      let x_$i = subgroupBroadcast(own_$i, $ou);
      //@end
      //@for r in 0..4
      //@for j in 0..4
      sum_$o_$r_$j = fma(x_0[$r], b_0[$j], fma(x_1[$r], b_1[$j], fma(x_2[$r], b_2[$j], fma(x_3[$r], b_3[$j], sum_$o_$r_$j))));
      //@end
      //@end
    }
    //@end
  }
  // A loop over an array, not unrolled: so many copies of the epilogue would take the compiler seconds.
  var sums = array<f32, 128u>(
  //@for o in 0..8
  //@for r in 0..4
  //@for j in 0..4
    sum_$o_$r_$j,
  //@end
  //@end
  //@end
  );
  for (var i = 0u; i < 128u; i++) {
    store(tile.z, row + i / 4u, column + i % 4u, sums[i]);
  }
}

fn store(batch: u32, row: u32, column: u32, sum: f32) {
  if (row >= params.m || column >= params.n) {
    return;
  }
  let at = (batch * params.m + row) * params.n + column;
  var value = sum;
  //@if BIAS
  value += bias[column];
  //@end
  //@if PREACTIVATION
  preactivation[at] = value;
  //@end
  value = activate(ACTIVATION, value);
  //@if RESIDUAL
  value += residual[at];
  //@end
  out[at] = value;
}
