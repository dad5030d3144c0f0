// How lanes share the rows of a row-wise kernel, 3 of 3: a workgroup owns a row. Loads are side by side; a reduction halves
// the lanes log2(LANES) times through shared memory, a barrier each. Runs on every adapter.

const LANES = 64u; // that share a row; a power of two
const GROUP_ROWS = 1u;

struct Place { @builtin(local_invocation_index) local: u32 }

fn owner_of(place: Place) -> u32 { return 0u; }
fn lane_of(place: Place) -> u32 { return place.local; }

var<workgroup> partial: array<f32, LANES>;

fn row_sum(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&partial[0]);
}

fn row_max(value: f32, lane: u32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&partial[0]);
}
