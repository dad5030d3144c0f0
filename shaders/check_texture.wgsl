// A texture's texels, row by row, in a buffer: what kernels that read matrices from textures would see. 32 bytes of traffic a texel.
//@work 0 operations, 32 * x * y * 64 bytes
//@budget registers 24, shared 0

struct Params { width: u32, height: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var texture: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.width && id.y < params.height) {
    out[id.y * params.width + id.x] = textureLoad(texture, id.xy);
  }
}
