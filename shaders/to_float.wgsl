// out = the halves in x, two to a word, as float32; exact. A lane takes PER_LANE words, 64 apart. Traffic: a read of 2
// bytes and a write of 4 an element.
//@work 0 operations, 6 * size bytes
//@budget registers 24, shared 0

const PER_LANE = 4u;

struct Params {
  size: u32, // elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let word = start + j * 64u;
    let i = 2u * word;
    if (i < params.size) {
      let pair = unpack2x16float(x[word]);
      out[i] = pair.x;
      if (i + 1u < params.size) {
        out[i + 1u] = pair.y;
      }
    }
  }
}
