// P[i, ·] = softmax(S[i, ·]) in place, and lse[i] = log Σ_j exp(S[i, j]), one lane a row: the second step of the naive form.
//
// Three passes over the row: its largest score (subtracted, so that no exponential overflows), the sum of exponentials,
// the division.
//@work 5 * rows * keys operations, 4 * rows * (2 * keys + 1) bytes
//@budget registers 24, shared 0

struct Params { rows: u32, keys: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>; // [rows, keys]
@group(0) @binding(2) var<storage, read_write> lse: array<f32>; // [rows]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.keys;
  var largest = scores[start];
  for (var j = 1u; j < params.keys; j++) {
    largest = max(largest, scores[start + j]);
  }
  var sum = 0.0;
  for (var j = 0u; j < params.keys; j++) {
    sum += exp(scores[start + j] - largest);
  }
  for (var j = 0u; j < params.keys; j++) {
    scores[start + j] = exp(scores[start + j] - largest) / sum;
  }
  lse[row] = largest + log(sum);
}
