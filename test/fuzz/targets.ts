import type { Target } from './target.ts';
import { mediaTargets } from './targets-media.ts';
import { metadataTargets } from './targets-metadata.ts';
import { modelTargets } from './targets-models.ts';
import { tableTargets } from './targets-tables.ts';
import { weightsTargets } from './targets-weights.ts';

export const targets: readonly Target[] = [
  ...weightsTargets,
  ...metadataTargets,
  ...modelTargets,
  ...tableTargets,
  ...mediaTargets,
];
