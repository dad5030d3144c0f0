// Functions of one number, activations among them, and their derivatives.

// Error function: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; absolute error below 1.5e-7.
fn erf(x: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return sign(x) * (1.0 - polynomial * exp(-x * x));
}

// Logistic function. exp(-x) overflows below -88, and shaders may take infinities for impossible: what is made of one is not taken.
fn sigmoid(x: f32) -> f32 {
  return select(1.0 / (1.0 + exp(-x)), 0.0, x < -88.0);
}

const SQRT_HALF = 0.70710678118654752;
const INVERSE_SQRT_TWO_PI = 0.39894228040143268;

// 0 identity, 1 QuickGELU x·σ(1.702x) (OpenAI's CLIP), 2 exact GELU x·Φ(x), 3 ReLU, 4 tanh, 5 exp, 6 log, 7 sqrt, 8 σ
fn unary(kind: u32, x: f32) -> f32 {
  switch kind {
    case 1u: { return x * sigmoid(1.702 * x); }
    case 2u: { return 0.5 * x * (1.0 + erf(x * SQRT_HALF)); }
    case 3u: { return max(x, 0.0); }
    case 4u: { return 1.0 - 2.0 / (exp(2.0 * clamp(x, -20.0, 20.0)) + 1.0); }
    case 5u: { return exp(x); }
    case 6u: { return log(x); }
    case 7u: { return sqrt(x); }
    case 8u: { return sigmoid(x); }
    default: { return x; }
  }
}

// The derivative at x.
fn unary_derivative(kind: u32, x: f32) -> f32 {
  switch kind {
    case 1u: {
      let s = sigmoid(1.702 * x);
      return s + 1.702 * x * s * (1.0 - s);
    }
    case 2u: { return 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * INVERSE_SQRT_TWO_PI * exp(-0.5 * x * x); }
    case 3u: { return select(0.0, 1.0, x > 0.0); }
    case 4u: {
      let y = unary(4u, x);
      return 1.0 - y * y;
    }
    case 5u: { return exp(x); }
    case 6u: { return 1.0 / x; }
    // At 0, where there is none, 0, as of a standard deviation in PyTorch: its inverse would make NaN of ReLU's 0 before it.
    case 7u: { return select(0.5 / sqrt(x), 0.0, x == 0.0); }
    case 8u: {
      let s = sigmoid(x);
      return s * (1.0 - s);
    }
    default: { return 1.0; }
  }
}
