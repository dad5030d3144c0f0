// A fault on purpose: 320 numbers that all live through a loop, where no GPU here gives a lane more than 256 registers. Every family's
// compiler must be found to spill it, or what finds it is broken.
//@budget registers 256, shared 0

@group(0) @binding(1) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  //@for i in 0..320
  var v_$i = x[id.x * 320u + $iu];
  //@end
  for (var k = 0u; k < u32(x[0]); k++) {
    let s = x[k];
    //@for i in 0..320
    v_$i = fma(v_$i, s, f32(k ^ $iu));
    //@end
  }
  //@for i in 0..320
  x[id.x * 320u + $iu] = v_$i;
  //@end
}
