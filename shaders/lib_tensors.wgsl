// main() of the kernels that do the same with every element of COUNT tensors: it calls element_0(i) to element_N(i), N = COUNT - 1,
// for each i below size_0 to size_N of params. One launch then has as many tensors as an adapter binds buffers for them.
//
// Tensor t has the workgroups from params.first_t on, whose lanes take elements as those of lib_elementwise.wgsl do.

const COUNT = 2u;
const PER_LANE = 8u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let number = group.y * groups.x + group.x;
  //@for t in 0..COUNT
  // Before the tensor's first workgroup the difference wraps, to what is beyond any size.
  let of_$t = number - params.first_$t;
  if (of_$t <= (params.size_$t - 1u) / (64u * PER_LANE)) {
    for (var j = 0u; j < PER_LANE; j++) {
      let i = (of_$t * PER_LANE + j) * 64u + lane;
      if (i < params.size_$t) {
        element_$t(i);
      }
    }
  }
  //@end
}
