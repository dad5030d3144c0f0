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
//
// A product that would keep a slow GPU from answering for too long is launched in pieces, of so many rows of tiles: the same bits.
//@work 2 * rows * n * k * z operations
//@work 4 * (1 + (a_batch != 0) * (z - 1)) * rows * k + (4 - 2 * HALF_B) * (1 + (b_batch != 0) * (z - 1)) * n * k bytes
//@work 4 * z * rows * n * (1 + RESIDUAL + PREACTIVATION + (DERIVATIVE != 0)) + 4 * n * BIAS bytes

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
const PACKED = HALF_B * VEC;

const STEP = 16u; // of k in a slice
const ALONG_A = TRANSPOSE_A == 0u; // steps of k lie side by side in memory
const ALONG_B = TRANSPOSE_B == 1u;
const LOADS_A = TILE_M / 64u; // vec4s of a slice that a lane copies
const LOADS_B = TILE_N / 64u;
const COLS_PER_LANE = TILE_N / 16u;

struct Params {
  m: u32, n: u32, k: u32,
  a_batch: u32, b_batch: u32, // strides in elements
  first: u32, rows: u32, // of this launch: its first row of tiles, and how many rows of the matrix
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> a_slice: array<vec4f, TILE_M * STEP / 4u>;
var<workgroup> b_slice: array<vec4f, TILE_N * STEP / 4u>;

// Where a slice along k keeps four steps of a row. A row's four vec4s change places with its number: eight lanes that read the same
// steps of neighboring rows, as eight that write two rows, then find each of the 32 banks once.
fn place(row: u32, steps: u32) -> u32 {
  return row * 4u + (steps ^ ((row / 2u) % 4u));
}

// What a vec4 of B is until it is stored: halves read by vec4 stay halves, which takes half the registers.
//@if PACKED
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

// The four neighbors of a span; elements beyond its end are the last before it.
//@if VEC
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<Loaded>;

fn a_at(at: vec2u) -> vec4f {
  return a[min(at.x, at.y - 4u) / 4u];
}

fn b_at(at: vec2u) -> Loaded {
  return b[min(at.x, at.y - 4u) / 4u];
}
//@else
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;

fn each_of(at: vec2u) -> vec4u {
  return min(at.x + vec4u(0u, 1u, 2u, 3u), vec4u(at.y - 1u));
}

fn a_at(at: vec2u) -> vec4f {
  let each = each_of(at);
  return vec4f(a[each.x], a[each.y], a[each.z], a[each.w]);
}

fn b_element(i: u32) -> f32 {
  //@if HALF_B
  return unpack2x16float(b[i / 2u])[i % 2u];
  //@else
  return bitcast<f32>(b[i]);
  //@end
}

fn b_at(at: vec2u) -> Loaded {
  let each = each_of(at);
  return vec4f(b_element(each.x), b_element(each.y), b_element(each.z), b_element(each.w));
}
//@end

// Which vec4 of every slice a lane copies: the one at step k of the row `own`, which begins at element `line`, or at that step of rows
// from `own` on, in a matrix that begins there; and where it is kept.
struct Copy { line: u32, own: u32, k: u32, to: u32 }

// The i-th of a lane, of `side` rows from `first` to `last`. Steps lie side by side in memory where `along`, else rows do.
fn copy_of(index: u32, i: u32, side: u32, first: u32, last: u32, line: u32, along: bool) -> Copy {
  if (along) {
    let own = min(first + 64u * i + index / 4u, last);
    return Copy(line + own * params.k, own, 4u * (index % 4u), place(index / 4u, index % 4u) + 256u * i);
  }
  let to = index + 256u * i;
  return Copy(line, first + 4u * (to % (side / 4u)), to / (side / 4u), to);
}

// Where its elements of the slice that begins at step `slice` are: from x on, in a row or step that ends before y. Rows that lie side by
// side are `width` a step.
fn span(copy: Copy, slice: u32, width: u32, along: bool) -> vec2u {
  let k = slice + copy.k;
  if (along) {
    return vec2u(copy.line + k, copy.line + params.k);
  }
  let step = copy.line + min(k, params.k - 1u) * width;
  return vec2u(step + copy.own, step + width);
}

// v with zeros for steps from K on: its elements' from k on where steps lie side by side, else its one, k.
fn steps_of(v: vec4f, k: u32, along: bool) -> vec4f {
  return select(vec4f(), v, k + select(vec4u(), vec4u(0u, 1u, 2u, 3u), along) < vec4u(params.k));
}

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) tile: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let first_row = (params.first + tile.y) * TILE_M;
  //@for i in 0..LOADS_A
  let copy_a_$i = copy_of(index, $iu, TILE_M, first_row, params.m - 1u, tile.z * params.a_batch, ALONG_A);
  //@end
  //@for i in 0..LOADS_B
  let copy_b_$i = copy_of(index, $iu, TILE_N, tile.x * TILE_N, params.n - 1u, tile.z * params.b_batch, ALONG_B);
  //@end
  //@for g in 0..LOADS_A, r in 0..4, c in 0..COLS_PER_LANE
  var sum_$g_$r_$c = 0.0;
  //@end
  //@for i in 0..LOADS_A
  var a_$i = a_at(span(copy_a_$i, 0u, params.m, ALONG_A));
  //@end
  //@for i in 0..LOADS_B
  var b_$i = b_at(span(copy_b_$i, 0u, params.n, ALONG_B));
  //@end
  for (var k = 0u; k < params.k; k += STEP) {
    //@for i in 0..LOADS_A
    a_slice[copy_a_$i.to] = steps_of(a_$i, k + copy_a_$i.k, ALONG_A);
    //@end
    //@for i in 0..LOADS_B
    b_slice[copy_b_$i.to] = steps_of(unpacked(b_$i), k + copy_b_$i.k, ALONG_B);
    //@end
    workgroupBarrier();
    // The next slice is asked for now and taken after the arithmetic of this one; after the last, nobody takes it.
    //@for i in 0..LOADS_A
    a_$i = a_at(span(copy_a_$i, k + STEP, params.m, ALONG_A));
    //@end
    //@for i in 0..LOADS_B
    b_$i = b_at(span(copy_b_$i, k + STEP, params.n, ALONG_B));
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
    let row = select(64u * (r / 4u) + 4u * lane.y + r % 4u, 16u * r + lane.y, ALONG_A);
    let column = select(64u * (c / 4u) + 4u * lane.x + c % 4u, 16u * c + lane.x, ALONG_B);
    store(tile.z, first_row + row, tile.x * TILE_N + column, sums[i]);
  }
}
