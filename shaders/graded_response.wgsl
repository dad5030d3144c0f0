// loss[r] = -log P(grade t_r) by the logits of row r (lib_graded_response.wgsl): with a = x[t - 1] and b = x[t], P = σ(a) - σ(b) =
// σ(a) σ(-b) (1 - e^(b - a)), so that no small difference of large numbers is taken. A row reads two numbers; its first lane does.
//@work 20 * rows operations, 16 * rows bytes
//@budget registers 40, shared 1

//@include "lib_rows.wgsl"
//@include "lib_graded_response.wgsl"

struct Params { rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each_row(row: u32, lane: u32) {
  if (lane != 0u) {
    return;
  }
  let grade = t[row];
  let start = row * params.width;
  var sum = 0.0;
  if (grade > 0u) {
    sum += softplus(-x[start + grade - 1u]);
  }
  if (grade < params.width) {
    sum += softplus(x[start + grade]);
  }
  if (grade > 0u && grade < params.width) {
    sum -= log(one_less_exp(x[start + grade - 1u] - x[start + grade]));
  }
  loss[row] = sum;
}
