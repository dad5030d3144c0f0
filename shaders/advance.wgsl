// counter[at] += 1: the step number that dropout draws by, counted on the GPU, so that every replay of a captured step
// draws another mask without a write from the host. It wraps at 2^32.

struct Params {
  at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> counter: array<u32>;

@compute @workgroup_size(1)
fn main() {
  counter[params.at] += 1u;
}
