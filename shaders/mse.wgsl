// Mean squared error over n pairs: loss = 1/n · sum (x - t)². One lane adds the few numbers of a batch in order, so the
// result has one rounding history; batches are small (32), and a launch costs more than the loop.

struct Params {
  size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < params.size; i++) {
    let d = x[i] - t[i];
    sum = fma(d, d, sum);
  }
  loss[0] = sum / f32(params.size);
}
