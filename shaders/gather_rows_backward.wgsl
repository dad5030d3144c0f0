// The gradient of gather_rows: dtable[r, c] = sum of dy[i, c] over the i with indices[i] = r, in the order of i.
//
// One workgroup a position i: the first position that names a row adds up all later ones of the same row and writes it;
// the others do nothing. So no atomics, a fixed order, and the rows that nobody named (the table is zeroed before) cost
// nothing: n² comparisons of indices for n positions instead of a scan of the vocabulary. Of a small table (WHOLE) one workgroup a
// row, which is written whether anybody named it or not, in the same order of sums: then no launch has to zero it.
//@work count * width operations, 4 * count * (2 * width + 1) + 4 * WHOLE * (rows - count) * width bytes
//@budget registers 24, shared 0

const WHOLE = 0u;

struct Params { count: u32, width: u32, rows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = group.y * groups.x + group.x;
  //@if WHOLE
  if (number >= params.rows) {
    return;
  }
  let row = number;
  let first = 0u;
  //@else
  if (number >= params.count) {
    return;
  }
  let row = indices[number];
  let first = number;
  for (var i = 0u; i < first; i++) {
    if (indices[i] == row) {
      return;
    }
  }
  if (row >= params.rows) {
    return;
  }
  //@end
  for (var c = lane; c < params.width; c += 64u) {
    var sum = 0.0;
    for (var i = first; i < params.count; i++) {
      if (indices[i] == row) {
        sum += dy[i * params.width + c];
      }
    }
    dtable[row * params.width + c] = sum;
  }
}
