// out = act(A·B + bias) + residual for few rows of A, by splitting k: for GPUs, where a tile in shared memory would walk through a long
// k one slice after the other, on a handful of workgroups that wait for memory most of the time.
//
// Tiling. A workgroup of 128 lanes makes 8 rows x 16 columns, a lane 8 x 4 of them over one of PARTS parts of k: the part's vec4s are
// PARTS vec4s apart, so that neighboring lanes read neighboring vec4s of B straight from memory, where each is used once by a
// workgroup. AT_ONCE steps of 4 of k are loaded together: 64·PARTS·AT_ONCE bytes of every row in flight, and of K up to 4096 no more
// than 16 such loads one after the other.
//
// The parts are summed through shared memory in an order that depends on nothing, four rows at a time.
//
// Traffic. A is read N/16 times, mostly from caches, B M/8 times, the result is written once. A layer norm before, or the gradient of
// one, is taken as A is read (lib_matmul_norm.wgsl).
//
// A as [M][K], B as [N][K] (TRANSPOSE_B) or [K][N]. K must be a multiple of 4, with B as [K][N] N, too.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes
//@work 9 * (NORM != 0) * m * k operations, 4 * (NORM == 2) * (2 + NORM_RESIDUAL) * m * k bytes
//@budget registers 168, shared 9, waves 8 on navi31, multiply-adds 60, waits 1

//@include "lib_matmul_vectors.wgsl"
//@include "lib_matmul_store.wgsl"
//@include "lib_matmul_norm.wgsl"

const TRANSPOSE_B = 1u; // B as [N][K]
const PARTS = 32u; // of k
const AT_ONCE = 2u;
const LINE = PARTS + 1u; // of partial sums, so that neither writing nor adding them has bank conflicts

var<workgroup> partial: array<f32, 16u * 4u * LINE>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let row = 8u * tile.y;
  let part = index % PARTS;
  let group = index / PARTS; // of 4 columns
  let k4 = params.k / 4u;
  begin_norm(tile.x, row, index);
  //@for h in 0..2, r in 0..4
  let line_a_$h_$r = tile.z * params.a_batch + min(row + 4u * $hu + $ru, params.m - 1u) * k4;
  //@end
  // Its four vec4s of B at a step: as [N][K] four of k in each column, as [K][N] the four columns at each of four of k.
  let along = TRANSPOSE_B == 1u;
  let n4 = params.n / 4u;
  //@for c in 0..4
  let own_b_$c = select(min(4u * tile.x + group, n4 - 1u), min(16u * tile.x + group + 4u * $cu, params.n - 1u) * k4, along);
  let line_b_$c = tile.z * params.b_batch + own_b_$c;
  //@end
  //@for h in 0..2, r in 0..4, c in 0..4
  var sum_$h_$r_$c = 0.0;
  //@end
  for (var first = 0u; first < k4; first += PARTS * AT_ONCE) {
    //@for t in 0..AT_ONCE
    let own_$t = first + $tu * PARTS + part;
    let at_$t = min(own_$t, k4 - 1u);
    //@for c in 0..4
    let four_$t_$c = b_at(line_b_$c + select((4u * at_$t + $cu) * n4, at_$t, along));
    //@end
    //@for c in 0..4
    let b_$t_$c = select(vec4f(four_$t_0[$c], four_$t_1[$c], four_$t_2[$c], four_$t_3[$c]), four_$t_$c, along);
    //@end
    //@for h in 0..2, r in 0..4
    let a_$t_$h_$r = a_at(line_a_$h_$r + at_$t, at_$t, 4u * $hu + $ru);
    //@end
    //@end
    if (NORM == GRADIENT && tile.x == 0u && group == 0u) {
      //@for t in 0..AT_ONCE, h in 0..2, r in 0..4
      if (own_$t < k4 && row + 4u * $hu + $ru < params.m) {
        keep_gradient(line_a_$h_$r + own_$t, a_$t_$h_$r);
      }
      //@end
    }
    // Steps beyond K count as zeros of B. A branch around them would have the compiler wait for one step before it asks for the next.
    //@for t in 0..AT_ONCE, c in 0..4
    let column_$t_$c = select(vec4f(), b_$t_$c, own_$t < k4);
    //@end
    //@for t in 0..AT_ONCE, h in 0..2, r in 0..4, c in 0..4
    sum_$h_$r_$c = fma(a_$t_$h_$r.x, column_$t_$c.x, fma(a_$t_$h_$r.y, column_$t_$c.y, fma(a_$t_$h_$r.z, column_$t_$c.z, fma(a_$t_$h_$r.w, column_$t_$c.w, sum_$h_$r_$c))));
    //@end
  }
  // The first 64 lanes have one of four rows' outputs each; column c of a group is that of its lanes above.
  let column = index % 16u;
  let place = select(column % 4u * 4u + column / 4u, column, along); // column c of group g is at 4c + g
  let line = (16u * (index / 16u) + place) * LINE;
  //@for h in 0..2
  workgroupBarrier();
  //@for r in 0..4, c in 0..4
  partial[((4u * $ru + $cu) * 4u + group) * LINE + part] = sum_$h_$r_$c;
  //@end
  workgroupBarrier();
  if (index < 64u) {
    var sum = vec4f();
    for (var p = line; p < line + PARTS; p += 4u) {
      sum += vec4f(partial[p], partial[p + 1u], partial[p + 2u], partial[p + 3u]);
    }
    store(tile.z, row + 4u * $hu + index / 16u, 16u * tile.x + column, (sum.x + sum.y) + (sum.z + sum.w));
  }
  //@end
}
