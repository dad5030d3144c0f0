// out[run, c] = factor · sum over the rows of a run of x[row, c], in the order of the rows: a sum over axis 0. A lane owns a
// column of one run of `run` rows: neighboring lanes read neighboring words. The launcher adds several runs' sums by a second
// pass. Traffic: one read an element.
//@work rows * width operations, 4 * width * (rows + y) bytes
//@budget registers 24, shared 0

struct Params { rows: u32, width: u32, factor: f32, run: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = (group.z * groups.x + group.x) * 32u + lane;
  if (column >= params.width) {
    return;
  }
  let end = min((group.y + 1u) * params.run, params.rows);
  var sum = 0.0;
  for (var row = group.y * params.run; row < end; row++) {
    sum += x[row * params.width + column];
  }
  out[group.y * params.width + column] = sum * params.factor;
}
