// Elements of a row as a row-wise kernel takes them: VEC_SIZE at once, four or, where the length allows no more, one. Four cost a
// GPU as much as one, and a software adapter, which loads for each lane by itself, about half as much each.

const VEC_SIZE = 4u;

//@if VEC_SIZE == 4
alias Vec = vec4f;
alias Columns = vec4u;

fn columns_of(i: u32) -> Columns { return 4u * i + vec4u(0u, 1u, 2u, 3u); }
fn sum_of(v: Vec) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn max_of(v: Vec) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
//@else
alias Vec = f32;
alias Columns = u32;

fn columns_of(i: u32) -> Columns { return i; }
fn sum_of(v: Vec) -> f32 { return v; }
fn max_of(v: Vec) -> f32 { return v; }
//@end
