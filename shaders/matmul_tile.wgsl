// out = act(A·B + bias) + residual by tiles in shared memory: for GPUs.
//
// Tiling. A workgroup of 16 x 16 lanes makes TILE_M x TILE_N outputs, a lane TILE_M/16 x TILE_N/16 of them in registers. Per slice
// of 16 steps of k, the group copies A's rows and B's columns of the tile to shared memory, a vec4 a lane at a time, along whichever
// index is contiguous in memory, and in that order they stay there:
// - along k (A as [M][K], B as [N][K]) as vec4s of four steps of a row, see place();
// - along the rows of A or columns of B (A as [K][M], B as [K][N]) as vec4s of four neighbors of one step.
//
// Loads in flight. The next slice's vec4s are asked for before the arithmetic of this one, and arrive during it: memory is waited
// for once a slice, with 16·(TILE_M/16)·(TILE_N/16) multiply-adds in between (1,024 of 128 x 128, against 64 reads of shared memory).
//
// Traffic. A is read N/TILE_N times and B M/TILE_M times. A vec4 read from shared memory serves TILE_N/16 or TILE_M/16 outputs.
//
// Any sizes, any transposition. Rows and columns beyond the matrix are read from its last ones and not written; steps beyond K count
// as zeros.
//@work 2 * m * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * m * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * m * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes

//@if TILE_N == 64
//@budget registers 96, shared 8, waves 8 on navi31, waves 3 on gfx940, multiply-adds 55, waits 2
//@else
//@if TILE_M == 64
//@budget registers 136, shared 12, waves 8 on navi31, waves 2 on gfx940, multiply-adds 65, waits 2
//@else
//@if VEC
//@budget registers 168, shared 16, waves 8 on navi31, multiply-adds 80, waits 2
//@else
//@budget registers 192, shared 16, multiply-adds 80
//@end
//@end
//@end

//@include "lib_matmul_store.wgsl"

const TILE_M = 64u;
const TILE_N = 64u;
const TRANSPOSE_A = 0u; // A as [K][M]
const TRANSPOSE_B = 0u; // B as [N][K]
const VEC = 1u; // memory is read by vec4, for which rows as they lie must be multiples of 4 elements
const HALF_B = 0u; // B holds halves, two to a word

const STEP = 16u; // of k in a slice
const LOADS_A = TILE_M / 64u; // vec4s of a slice that a lane copies
const LOADS_B = TILE_N / 64u;
const COLS_PER_LANE = TILE_N / 16u;

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in elements
}

@group(0) @binding(0) var<uniform> params: Params;
//@if VEC
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
//@else
@group(0) @binding(1) var<storage, read> a: array<f32>;
//@end
//@if VEC
//@if HALF_B
@group(0) @binding(2) var<storage, read> b: array<vec2u>;
//@else
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
//@end
//@else
@group(0) @binding(2) var<storage, read> b: array<u32>;
//@end

var<workgroup> a_slice: array<vec4f, TILE_M * STEP / 4u>;
var<workgroup> b_slice: array<vec4f, TILE_N * STEP / 4u>;

// Where a slice along k keeps four steps of a row. A row's four vec4s change places with its number: eight lanes that read the same
// steps of neighboring rows, as eight that write two rows, then find each of the 32 banks once.
fn place(row: u32, steps: u32) -> u32 {
  return row * 4u + (steps ^ ((row / 2u) % 4u));
}

// What a vec4 of B is until it is stored: halves stay halves, which takes half the registers.
//@if VEC
//@if HALF_B
alias Loaded = vec2u;
fn unpacked(words: Loaded) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}
//@else
alias Loaded = vec4f;
fn unpacked(v: Loaded) -> vec4f {
  return v;
}
//@end
//@else
alias Loaded = vec4f;
fn unpacked(v: Loaded) -> vec4f {
  return v;
}
fn b_element(i: u32) -> f32 {
  //@if HALF_B
  return unpack2x16float(b[i / 2u])[i % 2u];
  //@else
  return bitcast<f32>(b[i]);
  //@end
}
//@end

// Four neighbors from element i on; elements from `end` on are the last before it.
fn a_at(i: u32, end: u32) -> vec4f {
  //@if VEC
  return a[min(i, end - 4u) / 4u];
  //@else
  let each = min(i + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
  return vec4f(a[each.x], a[each.y], a[each.z], a[each.w]);
  //@end
}

fn b_at(i: u32, end: u32) -> Loaded {
  //@if VEC
  return b[min(i, end - 4u) / 4u];
  //@else
  let each = min(i + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
  return vec4f(b_element(each.x), b_element(each.y), b_element(each.z), b_element(each.w));
  //@end
}

// The vec4 at step k: of the row that begins at element `line`, or of `rows` in the matrix of [K][M] that does.
fn load_a(line: u32, rows: u32, k: u32) -> vec4f {
  //@if TRANSPOSE_A
  let step = line + min(k, params.k - 1u) * params.m;
  return a_at(step + rows, step + params.m);
  //@else
  return a_at(line + k, line + params.k);
  //@end
}

fn load_b(line: u32, columns: u32, k: u32) -> Loaded {
  //@if TRANSPOSE_B
  return b_at(line + k, line + params.k);
  //@else
  let step = line + min(k, params.k - 1u) * params.n;
  return b_at(step + columns, step + params.n);
  //@end
}

// v with zeros for steps from K on: its elements' from k on, or its one, k.
fn steps_of(v: vec4f, k: u32) -> vec4f {
  return select(vec4f(), v, k + vec4u(0u, 1u, 2u, 3u) < vec4u(params.k));
}

fn step_of(v: vec4f, k: u32) -> vec4f {
  return select(vec4f(), v, k < params.k);
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) tile: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  // Which vec4s of a slice the lane copies, and where to.
  //@for i in 0..LOADS_A
  //@if TRANSPOSE_A
  let line_a_$i = tile.z * params.a_batch;
  let rows_a_$i = tile.y * TILE_M + 4u * (index % (TILE_M / 4u));
  let k_a_$i = (index + 256u * $iu) / (TILE_M / 4u);
  let to_a_$i = index + 256u * $iu;
  //@else
  let rows_a_$i = min(tile.y * TILE_M + 64u * $iu + index / 4u, params.m - 1u);
  let line_a_$i = tile.z * params.a_batch + rows_a_$i * params.k;
  let k_a_$i = 4u * (index % 4u);
  let to_a_$i = place(index / 4u, index % 4u) + 256u * $iu;
  //@end
  //@end
  //@for i in 0..LOADS_B
  //@if TRANSPOSE_B
  let columns_b_$i = min(tile.x * TILE_N + 64u * $iu + index / 4u, params.n - 1u);
  let line_b_$i = tile.z * params.b_batch + columns_b_$i * params.k;
  let k_b_$i = 4u * (index % 4u);
  let to_b_$i = place(index / 4u, index % 4u) + 256u * $iu;
  //@else
  let line_b_$i = tile.z * params.b_batch;
  let columns_b_$i = tile.x * TILE_N + 4u * (index % (TILE_N / 4u));
  let k_b_$i = (index + 256u * $iu) / (TILE_N / 4u);
  let to_b_$i = index + 256u * $iu;
  //@end
  //@end
  //@for g in 0..LOADS_A, r in 0..4, c in 0..COLS_PER_LANE
  var sum_$g_$r_$c = 0.0;
  //@end
  //@for i in 0..LOADS_A
  var a_$i = load_a(line_a_$i, rows_a_$i, k_a_$i);
  //@end
  //@for i in 0..LOADS_B
  var b_$i = load_b(line_b_$i, columns_b_$i, k_b_$i);
  //@end
  for (var k = 0u; k < params.k; k += STEP) {
    //@for i in 0..LOADS_A
    //@if TRANSPOSE_A
    a_slice[to_a_$i] = step_of(a_$i, k + k_a_$i);
    //@else
    a_slice[to_a_$i] = steps_of(a_$i, k + k_a_$i);
    //@end
    //@end
    //@for i in 0..LOADS_B
    //@if TRANSPOSE_B
    b_slice[to_b_$i] = steps_of(unpacked(b_$i), k + k_b_$i);
    //@else
    b_slice[to_b_$i] = step_of(unpacked(b_$i), k + k_b_$i);
    //@end
    //@end
    workgroupBarrier();
    // The next slice is asked for now and taken after the arithmetic of this one; after the last, nobody takes it.
    //@for i in 0..LOADS_A
    a_$i = load_a(line_a_$i, rows_a_$i, k + STEP + k_a_$i);
    //@end
    //@for i in 0..LOADS_B
    b_$i = load_b(line_b_$i, columns_b_$i, k + STEP + k_b_$i);
    //@end
    for (var q = 0u; q < STEP / 4u; q++) { // four steps at a time
      let at_a = place(lane.y, q); // 16 rows on are 64 places on
      let at_b = place(lane.x, q);
      //@if TRANSPOSE_B
      //@for c in 0..COLS_PER_LANE
      let column_$c = b_slice[at_b + 64u * $cu];
      //@end
      //@else
      //@for g in 0..LOADS_B
      //@for s in 0..4
      let step_$g_$s = b_slice[(4u * q + $su) * (TILE_N / 4u) + 16u * $gu + lane.x];
      //@end
      //@for c in 0..4
      let column_$g_$c = vec4f(step_$g_0[$c], step_$g_1[$c], step_$g_2[$c], step_$g_3[$c]);
      //@end
      //@end
      let columns = array<vec4f, COLS_PER_LANE>(
      //@for g in 0..LOADS_B, c in 0..4
        column_$g_$c,
      //@end
      );
      //@for c in 0..COLS_PER_LANE
      let column_$c = columns[$c];
      //@end
      //@end
      //@for g in 0..LOADS_A
      {
        //@if TRANSPOSE_A
        //@for s in 0..4
        let step_$s = a_slice[(4u * q + $su) * (TILE_M / 4u) + 16u * $gu + lane.y];
        //@end
        //@end
        //@for r in 0..4
        //@if TRANSPOSE_A
        let row_$r = vec4f(step_0[$r], step_1[$r], step_2[$r], step_3[$r]);
        //@else
        let row_$r = a_slice[at_a + 64u * $ru + 256u * $gu];
        //@end
        //@for c in 0..COLS_PER_LANE
        sum_$g_$r_$c = fma(row_$r.x, column_$c.x, fma(row_$r.y, column_$c.y, fma(row_$r.z, column_$c.z, fma(row_$r.w, column_$c.w, sum_$g_$r_$c))));
        //@end
        //@end
      }
      //@end
    }
    workgroupBarrier();
  }
  // A loop over an array, with a bound that compilers don't see through: unrolled, so many copies of the epilogue take
  // a software adapter's compiler seconds.
  var sums = array<f32, 4u * LOADS_A * COLS_PER_LANE>(
  //@for g in 0..LOADS_A, r in 0..4, c in 0..COLS_PER_LANE
    sum_$g_$r_$c,
  //@end
  );
  for (var i = 0u; i < min(params.m, 1u) * 4u * LOADS_A * COLS_PER_LANE; i++) {
    let r = i / COLS_PER_LANE;
    let c = i % COLS_PER_LANE;
    //@if TRANSPOSE_A
    let row = 64u * (r / 4u) + 4u * lane.y + r % 4u;
    //@else
    let row = 16u * r + lane.y;
    //@end
    //@if TRANSPOSE_B
    let column = 16u * c + lane.x;
    //@else
    let column = 64u * (c / 4u) + 4u * lane.x + c % 4u;
    //@end
    store(tile.z, tile.y * TILE_M + row, tile.x * TILE_N + column, sums[i]);
  }
}
