// The fidelity of one pair (Tsai et al., SIGIR 2007; for image quality Zhang et al., arXiv 2102.07356): the model holds the first of two
// images for the better one with probability p̂ = Φ((x_i - x_j) / √2), Thurstone's Case V with unit variances, and its target says p, which is 1, 0, or 1/2 of
// equals. Its loss is 1 - √(p p̂) - √((1 - p)(1 - p̂)).

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;

const INVERSE_SQRT_TWO_PI = 0.39894228040143268;

struct Tail {
  // The smaller of p̂ and 1 - p̂, its root, and φ/root: with φ the normal density at (x_i - x_j) / √2, the derivative of p̂.
  q: f32,
  root: f32,
  density: f32,
}

// With u = |x_i - x_j| / 2, q = erfc(u) / 2, whose exponent is kept apart, since q itself underflows from u = 9 on. erfc as a Chebyshev series
// of relative error below 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
fn tail(difference: f32) -> Tail {
  let u = min(0.5 * abs(difference), 12.0);
  let s = 1.0 / (1.0 + 0.5 * u);
  var series = fma(s, 0.17087277, -0.82215223);
  series = fma(s, series, 1.48851587);
  series = fma(s, series, -1.13520398);
  series = fma(s, series, 0.27886807);
  series = fma(s, series, -0.18628806);
  series = fma(s, series, 0.09678418);
  series = fma(s, series, 0.37409196);
  series = fma(s, series, 1.00002368);
  series = fma(s, series, -1.26551223);
  let half = 0.5 * fma(-u, u, series);
  let root = sqrt(0.5 * s) * exp(half);
  return Tail(root * root, root, INVERSE_SQRT_TWO_PI * exp(-0.5 * fma(u, u, series)) / sqrt(0.5 * s));
}

// √p̂ of the image that the model holds for the better one.
fn likely(q: f32) -> f32 {
  return sqrt(1.0 - q);
}

// Loss of elements i and j of a row.
fn pair_loss(i: u32, j: u32) -> f32 {
  let difference = x[i] - x[j];
  let target_difference = t[i] - t[j];
  let q = tail(difference);
  let large = likely(q.q);
  if (target_difference == 0.0) {
    return 1.0 - sqrt(0.5) * (q.root + large);
  }
  if ((difference >= 0.0) == (target_difference > 0.0)) {
    return q.q / (1.0 + large);
  }
  return 1.0 - q.root;
}

// Its derivative by x_i.
fn pair_gradient(i: u32, j: u32) -> f32 {
  let difference = x[i] - x[j];
  let target_difference = t[i] - t[j];
  let q = tail(difference);
  // Derivatives of √p̂ of the likelier and of the other image by the former's lead, (x_i - x_j) / √2 up to its sign.
  let large = 0.5 * q.density * q.root / likely(q.q);
  let small = -0.5 * q.density;
  let lead = select(-1.0, 1.0, difference >= 0.0) * sqrt(0.5);
  if (target_difference == 0.0) {
    return -lead * sqrt(0.5) * (large + small);
  }
  return -lead * select(small, large, (difference >= 0.0) == (target_difference > 0.0));
}
