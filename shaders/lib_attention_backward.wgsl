// What the fused kernels of attention's gradients read.

//@include "lib_attention_mask.wgsl"

@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> d_out: array<vec4f>; // [batch, queries, heads · head size / 4]
@group(0) @binding(5) var<storage, read> lse: array<f32>; // [batch, heads, queries]
@group(0) @binding(6) var<storage, read> delta: array<f32>; // [batch, heads, queries]
//@if MASK == TREE
@group(0) @binding(7) var<storage, read> end: array<u32>;
//@end
