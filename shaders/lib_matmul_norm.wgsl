// Rows of A that a product with few of them makes of other rows as it reads them: their layer norm (NORM ROWS_NORMED), or the gradient of
// a layer norm by its input, where A is that by its output (NORM GRADIENT):
//   (a - mean) · rstd · gamma + beta        rstd · (g - mean(g) - x̂ · mean(g · x̂)) + residual, with g = a·gamma
// Each workgroup needs mean and rstd of its 8 rows alone, which it takes of the rows themselves, in two passes, so that nothing cancels:
// 8·K words more that all of them read, mostly from caches, in place of a launch, and of a matrix written and read.
// The workgroups of the first columns also write what others need: the statistics, or the gradient itself.
//@if NORM != NONE
//@budget registers 192, shared 12, waves 8 on navi31, waves 1 on gfx940, multiply-adds 30, waits 16
//@end

const NORM = 0u;
const NONE = 0u;
const ROWS_NORMED = 1u;
const GRADIENT = 2u;
const NORM_EPS = 1e-5;
const NORM_RESIDUAL = 0u;

//@if NORM == ROWS_NORMED
@group(0) @binding(8) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(9) var<storage, read> beta: array<vec4f>;
@group(0) @binding(10) var<storage, read_write> stats: array<vec2f>; // mean and rstd of each row
//@end
//@if NORM == GRADIENT
@group(0) @binding(8) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(9) var<storage, read> norm_input: array<vec4f>;
//@if NORM_RESIDUAL
@group(0) @binding(10) var<storage, read> norm_residual: array<vec4f>;
//@end
@group(0) @binding(11) var<storage, read_write> norm_gradient: array<vec4f>;
//@end

var<workgroup> joined: array<vec3f, 8u * PARTS>;
// Of each row: mean and rstd; of a gradient also mean(g) and mean(g · (x - mean)) · rstd².
var<workgroup> row_numbers: array<vec4f, 8>;

fn joined_mean(row: u32) -> vec3f {
  var sum = vec3f();
  for (var p = 0u; p < PARTS; p++) {
    sum += joined[row * PARTS + p];
  }
  return sum / f32(params.k);
}

// What the norm takes, or took, of a row.
fn norm_row(at: u32) -> vec4f {
  //@if NORM == GRADIENT
  return norm_input[at];
  //@else
  return a[at];
  //@end
}

// Takes the numbers of the workgroup's 8 rows from `first` on: a quarter of its lanes those of two, of which a lane has every PARTS-th
// vec4 and asks for four of each at once. Written as loops, which compilers unroll.
fn take_row_numbers(first: u32, index: u32) {
  let part = index % PARTS;
  let row = index / PARTS * 2u;
  let k4 = params.k / 4u;
  let line = min(vec2u(first + row, first + row + 1u), vec2u(params.m - 1u)) * k4;
  var total = vec2f();
  for (var begin = part; begin < k4; begin += 4u * PARTS) {
    var x: array<vec4f, 8>;
    for (var i = 0u; i < 8u; i++) {
      x[i] = norm_row(line[i % 2u] + min(begin + i / 2u * PARTS, k4 - 1u));
    }
    for (var i = 0u; i < 8u; i++) {
      total[i % 2u] += select(0.0, dot(x[i], vec4f(1.0)), begin + i / 2u * PARTS < k4);
    }
  }
  joined[row * PARTS + part] = vec3f(total.x, 0.0, 0.0);
  joined[(row + 1u) * PARTS + part] = vec3f(total.y, 0.0, 0.0);
  workgroupBarrier();
  if (index < 8u) {
    row_numbers[index] = vec4f(joined_mean(index).x, 0.0, 0.0, 0.0);
  }
  workgroupBarrier();
  let mean = vec2f(row_numbers[row].x, row_numbers[row + 1u].x);
  var sums = array<vec3f, 2>();
  for (var begin = part; begin < k4; begin += 4u * PARTS) {
    var d: array<vec4f, 8>;
    var g: array<vec4f, 8>;
    for (var i = 0u; i < 8u; i++) {
      let column = min(begin + i / 2u * PARTS, k4 - 1u);
      d[i] = norm_row(line[i % 2u] + column) - mean[i % 2u];
      //@if NORM == GRADIENT
      g[i] = a[line[i % 2u] + column] * gamma[column];
      //@end
    }
    for (var i = 0u; i < 8u; i++) {
      let own = vec3f(dot(d[i], d[i]), dot(g[i], vec4f(1.0)), dot(g[i], d[i]));
      sums[i % 2u] += select(vec3f(), own, begin + i / 2u * PARTS < k4);
    }
  }
  joined[row * PARTS + part] = sums[0];
  joined[(row + 1u) * PARTS + part] = sums[1];
  workgroupBarrier();
  if (index < 8u) {
    let means = joined_mean(index);
    let rstd = inverseSqrt(means.x + NORM_EPS);
    row_numbers[index] = vec4f(row_numbers[index].x, rstd, means.y, means.z * rstd * rstd);
  }
  workgroupBarrier();
}

// What a workgroup does before the product, `tile` of the columns.
fn begin_norm(tile: u32, first: u32, index: u32) {
  //@if NORM != NONE
  take_row_numbers(first, index);
  //@end
  //@if NORM == ROWS_NORMED
  if (tile == 0u && index < 8u && first + index < params.m) {
    stats[first + index] = row_numbers[index].xy;
  }
  //@end
}

// Four elements of A at `at`, which are the column-th four of the workgroup's row of this number.
fn a_at(at: u32, column: u32, row: u32) -> vec4f {
  var value = a[at];
  //@if NORM == ROWS_NORMED
  let n = row_numbers[row];
  value = fma((value - n.x) * n.y, gamma[column], beta[column]);
  //@end
  //@if NORM == GRADIENT
  let n = row_numbers[row];
  value = n.y * (value * gamma[column] - n.z - (norm_input[at] - n.x) * n.w);
  //@if NORM_RESIDUAL
  value += norm_residual[at];
  //@end
  //@end
  return value;
}

// Keeps four of the gradient by the norm's input.
fn keep_gradient(at: u32, value: vec4f) {
  //@if NORM == GRADIENT
  norm_gradient[at] = value;
  //@end
}
