// Gradient of a row's softmax by its input, from the output alone: dx = y ∘ (dy - sum(dy ∘ y)).
// LOG: of log-softmax, dx = dy - exp(y) · sum(dy).
//
// The lanes that share a bundle of BUNDLE rows (lib_rows.wgsl) read it twice, four elements at once (lib_vectors.wgsl):
// row by row for the sums, with a mask at the rows' ends, and in one sweep for the output, as in softmax.wgsl.

//@include "lib_rows.wgsl"
//@include "lib_vectors.wgsl"

const BUNDLE = 1u;
const LOG = 0u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<Values>;
@group(0) @binding(2) var<storage, read> dy: array<Values>;
@group(0) @binding(3) var<storage, read_write> dx: array<Values>;

@compute @workgroup_size(LANES * GROUP_ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let first = row_of(group, groups, local) * BUNDLE;
  if (first >= params.rows) {
    return;
  }
  let lane = local % LANES;
  let width = params.width;
  let base = first * width / WIDE;
  //@for r in 0..BUNDLE
  let begin_$r = $ru * width;
  var sums_$r = Values();
  for (var i = begin_$r / WIDE + lane; i * WIDE < begin_$r + width; i += LANES) {
    let own = (places(i) >= Places(begin_$r)) & (places(i) < Places(begin_$r + width));
    //@if LOG
    sums_$r += select(Values(), dy[base + i], own);
    //@else
    sums_$r += select(Values(), dy[base + i] * y[base + i], own);
    //@end
  }
  let total_$r = row_sum(sum_of(sums_$r), lane);
  //@end
  for (var i = lane; i < BUNDLE * width / WIDE; i += LANES) {
    var total = Values(total_0);
    //@for r in 1..BUNDLE
    total = select(total, Values(total_$r), places(i) >= Places(begin_$r));
    //@end
    //@if LOG
    dx[base + i] = dy[base + i] - exp(y[base + i]) * total;
    //@else
    dx[base + i] = y[base + i] * (dy[base + i] - total);
    //@end
  }
}
