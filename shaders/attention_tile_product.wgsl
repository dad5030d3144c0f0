// Y = scale · M·X (dQ = dS·K) or scale · Mᵀ·X (dK = dSᵀ·Q, dV = Pᵀ·dO) for every head, in register tiles of 16 rows x 32
// elements, one subgroup a tile: the tiling of attention_rows.wgsl.
//
// Only the columns that the mask lets a row of the tile see are visited: for queries those up to the last of them, for
// keys those from the first key on, in a prefix tree to the end of the longest subtree.

//@include "lib_attention_mask.wgsl"

enable subgroups;
// A maximum of the subgroup is the same in all its lanes; the compiler's analysis takes it for one lane's own.
diagnostic(off, subgroup_uniformity);

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

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.y * 16u;
  let element = group.x * 8u + lane;
  let batch = group.z / params.heads;
  let head = (group.z % params.heads) * params.d4;
  let rows = min(16u, params.rows - first);
  let last = params.columns - 1u;
  var begin = 0u;
  var limit = params.columns;
  //@for a in 0..2
  let row_$a = min(first + $au * 8u + lane, params.rows - 1u);
  //@end
  //@if MASK
  //@if TRANSPOSED
  begin = min(first, last);
  //@if MASK == TREE
  limit = subgroupMax(max(end[row_0], end[row_1]));
  //@end
  //@else
  limit = min(limit, first + 16u);
  //@end
  //@end
  let down = params.line * 4u; // from one row of the transposed matrix to the next
  //@for a in 0..2
  //@if TRANSPOSED
  var at_m_$a = group.z * params.columns * down + row_$a;
  let last_m_$a = at_m_$a + last * down;
  at_m_$a += begin * down;
  //@else
  let at_m_$a = (group.z * params.rows + row_$a) * params.line;
  //@end
  //@for r in 0..8
  var o_$a_$r_x = 0.0;
  var o_$a_$r_y = 0.0;
  var o_$a_$r_z = 0.0;
  var o_$a_$r_w = 0.0;
  //@end
  //@end
  let from_x = params.x_offset + batch * params.columns * params.x_stride + head + min(element, params.d4 - 1u);
  let last_x = from_x + last * params.x_stride;
  let step = 4u * params.x_stride;
  //@for j in 0..4
  var at_x_$j = min(from_x + (begin + $ju) * params.x_stride, last_x);
  //@end
  for (var c = begin; c < limit; c += 4u) {
    //@for a in 0..2
    //@if TRANSPOSED
    let own_$a = vec4f(
      m[at_m_$a],
      select(0.0, m[min(at_m_$a + down, last_m_$a)], c < last),
      select(0.0, m[min(at_m_$a + 2u * down, last_m_$a)], c + 1u < last),
      select(0.0, m[min(at_m_$a + 3u * down, last_m_$a)], c + 2u < last),
    );
    at_m_$a += 4u * down;
    //@else
    let own_$a = m[at_m_$a + c / 4u]; // zeros beyond the last column
    //@end
    //@end
    //@for j in 0..4
    let x_$j = x[at_x_$j];
    at_x_$j = min(at_x_$j + step, last_x);
    //@end
    //@for a in 0..2
    //@for r in 0..8
    let p_$a_$r = subgroupBroadcast(own_$a, $ru);
    o_$a_$r_x = fma(p_$a_$r.x, x_0.x, fma(p_$a_$r.y, x_1.x, fma(p_$a_$r.z, x_2.x, fma(p_$a_$r.w, x_3.x, o_$a_$r_x))));
    o_$a_$r_y = fma(p_$a_$r.x, x_0.y, fma(p_$a_$r.y, x_1.y, fma(p_$a_$r.z, x_2.y, fma(p_$a_$r.w, x_3.y, o_$a_$r_y))));
    o_$a_$r_z = fma(p_$a_$r.x, x_0.z, fma(p_$a_$r.y, x_1.z, fma(p_$a_$r.z, x_2.z, fma(p_$a_$r.w, x_3.z, o_$a_$r_z))));
    o_$a_$r_w = fma(p_$a_$r.x, x_0.w, fma(p_$a_$r.y, x_1.w, fma(p_$a_$r.z, x_2.w, fma(p_$a_$r.w, x_3.w, o_$a_$r_w))));
    //@end
    //@end
  }
  var block: array<vec4f, 16>;
  //@for a in 0..2
  //@for r in 0..8
  block[$au * 8u + $ru] = vec4f(o_$a_$r_x, o_$a_$r_y, o_$a_$r_z, o_$a_$r_w) * params.scale;
  //@end
  //@end
  if (element >= params.d4) {
    return;
  }
  for (var r = 0u; r < rows; r++) {
    y[params.y_offset + (batch * params.rows + first + r) * params.y_stride + head + element] = block[r];
  }
}
