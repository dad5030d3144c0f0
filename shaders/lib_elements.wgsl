// Elements of a row as a row-wise kernel takes them: four at once (FOUR), or one (SINGLE) where the length allows no more.
// Four cost a GPU as much as one, and a software adapter, which loads for each lane by itself, about half as much each.

const FOUR = 1u;
const SINGLE = 0u;
const WIDE = 4u; // elements that are taken at once
alias Values = vec4f;
alias Places = vec4u;

// The places of the elements of number i.
fn places(i: u32) -> Places {
  //@if FOUR
  return 4u * i + vec4u(0u, 1u, 2u, 3u);
  //@end
  //@if SINGLE
  return i;
  //@end
}

fn sum_of(v: Values) -> f32 {
  //@if FOUR
  return (v.x + v.y) + (v.z + v.w);
  //@end
  //@if SINGLE
  return v;
  //@end
}

fn largest_of(v: Values) -> f32 {
  //@if FOUR
  return max(max(v.x, v.y), max(v.z, v.w));
  //@end
  //@if SINGLE
  return v;
  //@end
}
