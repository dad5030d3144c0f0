// What the kernels of attention have in common that take a subgroup of 8 lanes for one vector register of a processor.

enable subgroups;
// A vote or maximum of the subgroup is the same in all its lanes; the compiler's analysis takes it for one lane's own.
diagnostic(off, subgroup_uniformity);

const LN2 = 0.6931471805599453;

// sum + a · b
fn dot_add(a: vec4f, b: vec4f, sum: f32) -> f32 {
  return fma(a.x, b.x, fma(a.y, b.y, fma(a.z, b.z, fma(a.w, b.w, sum))));
}

// sum[j] + a · b[j]
fn dots_add(a: vec4f, b: array<vec4f, 4>, sum: vec4f) -> vec4f {
  return vec4f(dot_add(a, b[0], sum.x), dot_add(a, b[1], sum.y), dot_add(a, b[2], sum.z), dot_add(a, b[3], sum.w));
}

// sum + Σ_j p[j] · x[j]
fn combine_add(p: vec4f, x: array<vec4f, 4>, sum: vec4f) -> vec4f {
  return fma(vec4f(p.x), x[0], fma(vec4f(p.y), x[1], fma(vec4f(p.z), x[2], fma(vec4f(p.w), x[3], sum))));
}
