// Elements of a row as a row-wise kernel takes them: WIDE at once, four or, where the length allows no more, one. Four cost a
// GPU as much as one, and a software adapter, which loads for each lane by itself, about half as much each.

const WIDE = 4u;

//@if WIDE == 4
alias Values = vec4f;
alias Places = vec4u;
//@else
alias Values = f32;
alias Places = u32;
//@end

// The places of the elements of number i.
fn places(i: u32) -> Places {
  //@if WIDE == 4
  return 4u * i + vec4u(0u, 1u, 2u, 3u);
  //@else
  return i;
  //@end
}

fn sum_of(v: Values) -> f32 {
  //@if WIDE == 4
  return (v.x + v.y) + (v.z + v.w);
  //@else
  return v;
  //@end
}

fn largest_of(v: Values) -> f32 {
  //@if WIDE == 4
  return max(max(v.x, v.y), max(v.z, v.w));
  //@else
  return v;
  //@end
}
