// The plain path of attention, step 2 of 3: a softmax over the keys that a query may see; the others get 0.
//
// MASK 0: all keys. 1: causal, key j for query i if j <= i. 2: a prefix tree in depth-first preorder, key j for query i
// if j <= i < end[j], that is, if i lies in j's subtree: a token sees itself and its ancestors.
// A lane owns a row of scores and replaces it by probabilities, the largest score taken off first.

const MASK = 0u;
const TREE = 0u;

struct Params {
  total: u32, // batch · heads · rows
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
//@if TREE
@group(0) @binding(1) var<storage, read> end: array<u32>;
//@end
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

fn visible(i: u32, j: u32) -> bool {
  if (MASK == 0u) {
    return true;
  }
  //@if TREE
  if (i >= end[j]) {
    return false;
  }
  //@end
  return j <= i;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.total) {
    return;
  }
  let i = row % params.rows;
  let start = row * params.columns;
  var largest = -3.4e38;
  for (var j = 0u; j < params.columns; j++) {
    if (visible(i, j)) {
      largest = max(largest, scores[start + j]);
    }
  }
  var sum = 0.0;
  for (var j = 0u; j < params.columns; j++) {
    var p = 0.0;
    if (visible(i, j)) {
      p = exp(scores[start + j] - largest);
    }
    scores[start + j] = p;
    sum += p;
  }
  let inverse = 1.0 / sum;
  for (var j = 0u; j < params.columns; j++) {
    scores[start + j] *= inverse;
  }
}
