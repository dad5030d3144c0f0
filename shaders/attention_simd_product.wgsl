// Y = scale · M·X (dQ = dS·K) or scale · Mᵀ·X (dK = dSᵀ·Q, dV = Pᵀ·dO) for every head, in register tiles of 16 rows x 32
// elements: one subgroup of 8 lanes a tile, of which a lane has all rows and 4 elements. Per 4 columns of M it reads a vec4 of 2
// rows of M and of 4 rows of X, and gets the other rows of M from its neighbors: 6 reads for 256 multiply-adds.
//
// Only the columns that the mask lets a row of the tile see are visited: for queries those up to the last of them, for
// keys those from the first key on, in a prefix tree to the end of the longest subtree.
//@work 8 * d4 * z * (rows * columns - (MASK != NONE) * rows * (rows - 1) / 2) operations
//@work 16 * z * (d4 * (rows + columns) + line * (rows + (columns - rows) * TRANSPOSED)) bytes

//@include "lib_attention_mask.wgsl"
//@include "lib_attention_simd.wgsl"

const TRANSPOSED = 0u; // rows are keys, not queries

struct Params {
  rows: u32, columns: u32, heads: u32,
  d4: u32, // head size / 4
  line: u32, // length of a matrix row in vec4
  x_offset: u32, x_stride: u32, y_offset: u32, y_stride: u32, // in vec4
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
//@if TRANSPOSED
@group(0) @binding(1) var<storage, read> m: array<f32>; // [batch, heads, columns, 4 · line]
//@if MASK == TREE
@group(0) @binding(3) var<storage, read> end: array<u32>;
//@end
//@else
@group(0) @binding(1) var<storage, read> m: array<vec4f>; // [batch, heads, rows, line]
//@end
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// M[row, column … column + 3]; beyond the last column 0.
fn m_at(matrix: u32, row: u32, column: u32) -> vec4f {
  //@if TRANSPOSED
  let last = params.columns - 1u;
  let next = params.line * 4u; // from one row of the transposed matrix to the next
  let at = (matrix * params.columns + column) * next + row;
  let at_last = (matrix * params.columns + last) * next + row;
  return vec4f(
    m[at],
    select(0.0, m[min(at + next, at_last)], column < last),
    select(0.0, m[min(at + 2u * next, at_last)], column + 1u < last),
    select(0.0, m[min(at + 3u * next, at_last)], column + 2u < last),
  );
  //@else
  return m[(matrix * params.rows + row) * params.line + column / 4u];
  //@end
}

@compute @workgroup_size(8) @subgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.y * 16u;
  let element = group.x * 8u + lane;
  let batch = group.z / params.heads;
  let head = (group.z % params.heads) * params.d4;
  let last = params.columns - 1u;
  let row = min(vec2u(first + lane, first + 8u + lane), vec2u(params.rows - 1u));
  var begin = 0u;
  var limit = params.columns;
  //@if MASK
  //@if TRANSPOSED
  begin = min(first, last);
  //@if MASK == TREE
  limit = subgroupMax(max(end[row.x], end[row.y]));
  //@end
  //@else
  limit = min(limit, first + 16u);
  //@end
  //@end
  let from_x = params.x_offset + batch * params.columns * params.x_stride + head + min(element, params.d4 - 1u);
  let last_x = vec4u(from_x + last * params.x_stride);
  var at_x = min(from_x + (begin + vec4u(0u, 1u, 2u, 3u)) * params.x_stride, last_x);
  var sum = array<vec4f, 16>();
  for (var c = begin; c < limit; c += 4u) {
    let own = array(m_at(group.z, row.x, c), m_at(group.z, row.y, c));
    let x_c = array(x[at_x.x], x[at_x.y], x[at_x.z], x[at_x.w]);
    at_x = min(at_x + 4u * params.x_stride, last_x);
    //@for a in 0..2
    //@for r in 0..8
    sum[8 * $a + $r] = combine_add(subgroupBroadcast(own[$a], $ru), x_c, sum[8 * $a + $r]);
    //@end
    //@end
  }
  if (element >= params.d4) {
    return;
  }
  let rows = min(16u, params.rows - first);
  for (var r = 0u; r < rows; r++) {
    y[params.y_offset + (batch * params.rows + first + r) * params.y_stride + head + element] = sum[r] * params.scale;
  }
}
