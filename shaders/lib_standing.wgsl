// For losses that compare how numbers stand among each other, not their values: row r of x and of its targets t, each less its mean and
// divided by its Euclidean length. A row of (nearly) equal numbers has no direction: it becomes zeros, and so does its gradient.
// Needs lib_rows.wgsl and params.width.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;

const SHORTEST = 1e-12;

struct Standing {
  // Means of x and t, and 1 / length of what is left without them, or 0.
  mean: vec2f,
  factor: vec2f,
}

fn standing(start: u32, lane: u32) -> Standing {
  var sums = vec2f(0.0);
  for (var i = start + lane; i < start + params.width; i += LANES) {
    sums += vec2f(x[i], t[i]);
  }
  let mean = vec2f(row_sum(sums.x, lane), row_sum(sums.y, lane)) / f32(params.width);
  var squares = vec2f(0.0);
  for (var i = start + lane; i < start + params.width; i += LANES) {
    let apart = vec2f(x[i], t[i]) - mean;
    squares = fma(apart, apart, squares);
  }
  let length = sqrt(vec2f(row_sum(squares.x, lane), row_sum(squares.y, lane)));
  return Standing(mean, select(1.0 / max(length, vec2f(SHORTEST)), vec2f(0.0), length < vec2f(SHORTEST)));
}

// Element i of both.
fn stands(i: u32, s: Standing) -> vec2f {
  return (vec2f(x[i], t[i]) - s.mean) * s.factor;
}
