import attentionBackward from '../../../shaders/lib_attention_backward.wgsl';
import attentionFlash from '../../../shaders/lib_attention_flash.wgsl';
import attentionFlashKeys from '../../../shaders/lib_attention_flash_keys.wgsl';
import attentionMask from '../../../shaders/lib_attention_mask.wgsl';
import attentionSimd from '../../../shaders/lib_attention_simd.wgsl';
import dropout from '../../../shaders/lib_dropout.wgsl';
import elementwise from '../../../shaders/lib_elementwise.wgsl';
import fidelity from '../../../shaders/lib_fidelity.wgsl';
import gradedResponse from '../../../shaders/lib_graded_response.wgsl';
import logSumExp from '../../../shaders/lib_log_sum_exp.wgsl';
import matmulNorm from '../../../shaders/lib_matmul_norm.wgsl';
import matmulScalars from '../../../shaders/lib_matmul_scalars.wgsl';
import matmulStore from '../../../shaders/lib_matmul_store.wgsl';
import matmulTexture from '../../../shaders/lib_matmul_texture.wgsl';
import matmulVectors from '../../../shaders/lib_matmul_vectors.wgsl';
import philox from '../../../shaders/lib_philox.wgsl';
import rows from '../../../shaders/lib_rows.wgsl';
import rowsLane from '../../../shaders/lib_rows_lane.wgsl';
import rowsSubgroup from '../../../shaders/lib_rows_subgroup.wgsl';
import rowsWorkgroup from '../../../shaders/lib_rows_workgroup.wgsl';
import standing from '../../../shaders/lib_standing.wgsl';
import tensors from '../../../shaders/lib_tensors.wgsl';
import unary from '../../../shaders/lib_unary.wgsl';
import vectors from '../../../shaders/lib_vectors.wgsl';

/** The files that a shader, also one of a user's own, may name in `//@include`. */
export const shaderLibrary: ReadonlyMap<string, string> = new Map([
  ['lib_attention_backward.wgsl', attentionBackward],
  ['lib_attention_mask.wgsl', attentionMask],
  ['lib_attention_flash.wgsl', attentionFlash],
  ['lib_attention_flash_keys.wgsl', attentionFlashKeys],
  ['lib_attention_simd.wgsl', attentionSimd],
  ['lib_dropout.wgsl', dropout],
  ['lib_elementwise.wgsl', elementwise],
  ['lib_fidelity.wgsl', fidelity],
  ['lib_graded_response.wgsl', gradedResponse],
  ['lib_log_sum_exp.wgsl', logSumExp],
  ['lib_matmul_norm.wgsl', matmulNorm],
  ['lib_matmul_scalars.wgsl', matmulScalars],
  ['lib_matmul_store.wgsl', matmulStore],
  ['lib_matmul_texture.wgsl', matmulTexture],
  ['lib_matmul_vectors.wgsl', matmulVectors],
  ['lib_philox.wgsl', philox],
  ['lib_rows.wgsl', rows],
  ['lib_rows_lane.wgsl', rowsLane],
  ['lib_rows_subgroup.wgsl', rowsSubgroup],
  ['lib_rows_workgroup.wgsl', rowsWorkgroup],
  ['lib_standing.wgsl', standing],
  ['lib_tensors.wgsl', tensors],
  ['lib_unary.wgsl', unary],
  ['lib_vectors.wgsl', vectors],
]);
