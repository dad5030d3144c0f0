/**
 * What Dawn says of each software adapter it finds: that it offers a million dynamic buffers, of which Dawn uses 16. It says so before
 * it is asked for any limits, whatever toggles are set, and it concerns nobody here. Nor does the line of its source below a warning
 * that is worth reading, such as that Vulkan's loader is missing.
 */
export const dawnRemarks =
  /^(Warning: maxDynamic(Uniform|Storage)BuffersPerPipelineLayout artificially reduced from \d+ to \d+ to fit dynamic offset allocation limit\.| +at .+ \(.+\.cpp:\d+\))$/m;
