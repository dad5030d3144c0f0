// The adapter's arithmetic ceiling: multiply-adds on 12 independent accumulators, as many as hide the latency of two
// pipelines of an x86 core or of a GPU's warp scheduler, unrolled by 4. No memory traffic but one word in and out a lane.
//@work 96 * rounds * 64 * x operations, 8 * 64 * x bytes
//@budget registers 40, shared 0

struct Params {
  rounds: u32, // of 48 multiply-adds
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = values[id.x];
  let y = 0.5 * x;
  //@for i in 0..12
  var sum_$i = x + $i.0;
  //@end
  for (var round = 0u; round < params.rounds; round++) {
    //@for step in 0..4
    //@for i in 0..12
    sum_$i = fma(sum_$i, x, y);
    //@end
    //@end
  }
  var total = 0.0;
  //@for i in 0..12
  total += sum_$i;
  //@end
  values[id.x] = total;
}
