// Samejima's graded response (Psychometrika monograph 17, 1969): row r of x has a logit for each boundary between grades, falling from the
// lowest on, of reaching at least the grade above it, so that P(grade k) = σ(x[k - 1]) - σ(x[k]), with P(at least the lowest) = 1.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<u32>;

// log(1 + e^v); e^v is not computed where it would overflow.
fn softplus(v: f32) -> f32 {
  return max(v, 0.0) + log(1.0 + exp(-abs(v)));
}

fn sigmoid(v: f32) -> f32 {
  let e = exp(-abs(v));
  return select(1.0, e, v < 0.0) / (1.0 + e);
}

// 1 - e^-v for v > 0, of a relative error that does not grow as v falls to 0.
fn one_less_exp(v: f32) -> f32 {
  return select(1.0 - exp(-v), v * (1.0 - v * (0.5 - v * (0.16666667 - v * 0.041666668))), v < 0.1);
}
