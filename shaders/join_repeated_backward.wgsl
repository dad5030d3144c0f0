// Gradient of join_repeated.wgsl by the repeated row: the sum over the rows b, in their order, of what dropout keeps of dy[b, own + c]. A
// lane has four columns, whose mask is drawn again. Traffic: one read an element.
//@work rows * (width - own) * (1 + DROPOUT) operations, 4 * (rows + 1) * (width - own) + 8 * DROPOUT bytes
//@budget registers 64, shared 0

const DROPOUT = 1u;

//@if DROPOUT
//@include "lib_dropout.wgsl"
//@end

struct Params { rows: u32, width: u32, own: u32, stream: u32, threshold: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
//@if DROPOUT
@group(0) @binding(2) var<storage, read> seed: array<u32>; // seed, step
//@end
@group(0) @binding(3) var<storage, read_write> d_repeated: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = (group.y * groups.x + group.x) * 64u + lane;
  let own = params.own / 4u;
  let width = params.width / 4u;
  if (column >= width - own) {
    return;
  }
  var sum = vec4f();
  for (var row = 0u; row < params.rows; row++) {
    let quad = row * width + own + column;
    var value = dy[quad];
    //@if DROPOUT
    value = select(value * params.factor, vec4f(), words_of(quad) < vec4u(params.threshold));
    //@end
    sum += value;
  }
  d_repeated[column] = sum;
}
