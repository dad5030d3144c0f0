// The adapter's bandwidth ceiling: out[i] = x[i], 16 elements a lane, 64 apart.
//@work 0 operations, 8 * 1024 * x * y bytes
//@budget registers 40, shared 0

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = (group.y * groups.x + group.x) * 1024u + lane;
  for (var i = 0u; i < 1024u; i += 64u) {
    out[start + i] = x[start + i];
  }
}
