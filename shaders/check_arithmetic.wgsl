// What kernels rely on of an adapter's arithmetic, of numbers its compiler cannot know. Of every word w, four results:
//   exp2(float w), both halves of w as float32, and float w as a half.
// Scores that a mask hides are -1e30, and exp2 of such must be 0. A lane takes a word: 20 bytes of traffic.
//@work x * 64 operations, x * 64 * 20 bytes
//@budget registers 24, shared 0

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let word = words[id.x];
  let value = bitcast<f32>(word);
  let halves = unpack2x16float(word);
  out[id.x] = vec4u(
    bitcast<u32>(exp2(value)),
    bitcast<u32>(halves.x),
    bitcast<u32>(halves.y),
    pack2x16float(vec2f(value, 0.0)) & 0xffffu,
  );
}
