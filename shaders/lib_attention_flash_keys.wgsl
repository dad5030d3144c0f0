// The tiles of the flash kernels whose lanes have queries: keys and values that all of them read from workgroup memory.

var<workgroup> k_tile: array<vec4f, TILE_ROWS * D4>;
var<workgroup> v_tile: array<vec4f, TILE_ROWS * D4>;

// Fills both with TILE_ROWS keys from `start` on, beyond the last key with that one again; once no lane reads what they held.
fn load_tiles(work: Work, start: u32, lane: u32) {
  workgroupBarrier();
  for (var i = lane; i < TILE_ROWS * D4; i += 64u) {
    let row = work.batch * params.keys + min(start + i / D4, params.keys - 1u);
    k_tile[i] = k[params.k_offset + row * params.k_stride + work.head + i % D4];
    v_tile[i] = v[params.v_offset + row * params.v_stride + work.head + i % D4];
  }
  workgroupBarrier();
}
