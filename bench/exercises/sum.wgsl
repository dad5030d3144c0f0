// out[0] = the sum of x: right, and as slow as can be. One invocation adds up everything while all others wait.
//
// There is one workgroup. Give it more invocations, let each add up every 64th element, leave the results in memory that the
// workgroup shares (var<workgroup>), and halve them until one is left (workgroupBarrier between the halvings).
//@groups 1

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < params.size; i++) {
    sum += x[i];
  }
  out[0] = sum;
}
