// ViT's patch embedding is a convolution whose stride is its kernel size, so it is a matrix product once the images
// are laid out as patches: out[(b·gh + gy)·gw + gx, c·p² + py·p + px] = image b's channel c at (gy·p + py, gx·p + px).
// That order of columns is the order of conv1.weight [width, 3, p, p] read as a matrix.
//
// BYTES: the images come as RGB bytes, four to a word, row by row, and are normalized here: a quarter of the upload.
//@work 2 * size * BYTES operations, (8 - 3 * BYTES) * size bytes
//@budget registers 64, shared 0

//@include "lib_elementwise.wgsl"

const BYTES = 0u;

struct Params {
  size: u32, // elements of the output
  height: u32, // of an image
  width: u32,
  patch_size: u32,
  mean_r: f32, mean_g: f32, mean_b: f32,
  scale_r: f32, scale_g: f32, scale_b: f32, // 1 / std
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn element(i: u32) {
  let p = params.patch_size;
  let across = params.width / p;
  let down = params.height / p;
  let column = i % (3u * p * p);
  let row = i / (3u * p * p);
  let channel = column / (p * p);
  let y = row / across % down * p + column / p % p;
  let x = row % across * p + column % p;
  let image = row / (across * down);
  //@if BYTES
  let at = ((image * params.height + y) * params.width + x) * 3u + channel;
  let byte = extractBits(images[at / 4u], 8u * (at % 4u), 8u);
  let mean = array(params.mean_r, params.mean_g, params.mean_b);
  let scale = array(params.scale_r, params.scale_g, params.scale_b);
  out[i] = (f32(byte) / 255.0 - mean[channel]) * scale[channel];
  //@else
  out[i] = bitcast<f32>(images[((image * 3u + channel) * params.height + y) * params.width + x]);
  //@end
}
