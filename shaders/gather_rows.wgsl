// out[i, c] = table[indices[i], c]: rows of a matrix by number, the token embedding among them. One lane an element,
// PER_LANE elements 64 apart; traffic: a read and a write an element.

const PER_LANE = 4u;
const HALF = 0u; // the table holds halves, two to a word

struct Params {
  size: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let start = (group.y * groups.x + group.x) * 64u * PER_LANE + lane;
  for (var j = 0u; j < PER_LANE; j++) {
    let i = start + j * 64u;
    if (i < params.size) {
      let at = indices[i / params.width] * params.width + i % params.width;
      if (HALF == 1u) {
        out[i] = unpack2x16float(table[at / 2u])[at & 1u];
      } else {
        out[i] = bitcast<f32>(table[at]);
      }
    }
  }
}
