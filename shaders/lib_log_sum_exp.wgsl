// What cross-entropy and its gradient take from a row of logits: log sum_c exp(x[row, c]) = x + log(y), as the largest logit x,
// which is taken off first so that nothing overflows, and y = sum_c exp(x[row, c] - x).

@group(0) @binding(1) var<storage, read> x: array<f32>; // logits, [rows, width]

fn log_sum_exp(start: u32, lane: u32) -> vec2f {
  var largest = x[start];
  for (var c = lane; c < params.width; c += LANES) {
    largest = max(largest, x[start + c]);
  }
  largest = row_max(largest, lane);
  var sum = 0.0;
  for (var c = lane; c < params.width; c += LANES) {
    sum += exp(x[start + c] - largest);
  }
  return vec2f(largest, row_sum(sum, lane));
}
