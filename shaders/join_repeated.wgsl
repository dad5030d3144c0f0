// out[b] = x[b] ++ repeated, one row for all: and dropout of the whole, as dropout.wgsl has it, in the same launch, in place of a copy of
// the repeated row, two into the joined matrix, and a pass over that. A lane makes four neighbors of a row: widths are multiples of 4.
//@work size * DROPOUT operations, 4 * size + size / width * own * 4 + 4 * (width - own) + 8 * DROPOUT bytes
//@budget registers 64, shared 0

const DROPOUT = 1u;

//@if DROPOUT
//@include "lib_dropout.wgsl"
//@end

struct Params { size: u32, width: u32, own: u32, stream: u32, threshold: u32, factor: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> repeated: array<vec4f>;
//@if DROPOUT
@group(0) @binding(3) var<storage, read> seed: array<u32>; // seed, step
//@end
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quad = (group.y * groups.x + group.x) * 64u + lane;
  if (quad >= params.size / 4u) {
    return;
  }
  let own = params.own / 4u;
  let row = quad / (params.width / 4u);
  let column = quad % (params.width / 4u);
  var value: vec4f;
  if (column < own) {
    value = x[row * own + column];
  } else {
    value = repeated[column - own];
  }
  //@if DROPOUT
  value = select(value * params.factor, vec4f(), words_of(quad) < vec4u(params.threshold));
  //@end
  out[quad] = value;
}
