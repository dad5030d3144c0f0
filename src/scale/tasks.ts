import { UserError } from '../common/errors.ts';
import { encodeTask } from './encode-task.ts';
import type { Plan } from './plan.ts';
import { scoreTask } from './score-task.ts';
import type { TaskKind } from './task.ts';

/** What a plan computes a shard of images with. Training runs are not made of images: see sweep.ts. */
export function taskOf({ task }: Pick<Plan, 'task'>): TaskKind {
  if (task === 'train') throw new UserError('the plan is one of training runs', 'Use train --sweep.');
  return { score: scoreTask, encode: encodeTask }[task];
}
