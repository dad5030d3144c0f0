import { UserError } from '../common/errors.ts';

/** A part of a plan: of every `of` shards the one numbered `part`, from 0. */
export interface Part {
  readonly part: number;
  readonly of: number;
}

/**
 * What `--shard` says: `i/n`, from 0 to n - 1, or `auto`, which reads what the scheduler says: the task of a Slurm job array
 * (https://slurm.schedmd.com/job_array.html), or the completion index of a Kubernetes Indexed Job. The number of a Job's completions
 * Kubernetes tells nobody, so it is to be set as JOB_COMPLETIONS.
 *
 * @throws UserError where that is no part
 */
export function parsePart(text: string, env: NodeJS.ProcessEnv = process.env): Part {
  if (text !== 'auto') {
    const found = /^(\d{1,9})\/(\d{1,9})$/.exec(text);
    return found
      ? checked(Number(found[1]), Number(found[2]), `--shard ${text}`)
      : refuse(`--shard takes I/N or auto, not ${text}`);
  }
  if (env.SLURM_ARRAY_TASK_ID !== undefined) return slurmPart(env);
  if (env.JOB_COMPLETION_INDEX !== undefined)
    return checked(
      whole(env, 'JOB_COMPLETION_INDEX'),
      whole(env, 'JOB_COMPLETIONS'),
      'JOB_COMPLETION_INDEX of JOB_COMPLETIONS',
    );
  return refuse('--shard auto: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set');
}

/** An array may begin at another number than 0, and go in steps: `--array=8-64:8`. */
function slurmPart(env: NodeJS.ProcessEnv): Part {
  const optional = (name: string, value: number) => (env[name] === undefined ? value : whole(env, name));
  const place = whole(env, 'SLURM_ARRAY_TASK_ID') - optional('SLURM_ARRAY_TASK_MIN', 0);
  const part = place / optional('SLURM_ARRAY_TASK_STEP', 1);
  return checked(part, whole(env, 'SLURM_ARRAY_TASK_COUNT'), 'the Slurm array');
}

function whole(env: NodeJS.ProcessEnv, name: string): number {
  const text = env[name];
  if (text !== undefined && /^\d{1,9}$/.test(text)) return Number(text);
  return refuse(`--shard auto: ${name} is ${text ?? 'not set'}, not a number`);
}

function checked(part: number, of: number, what: string): Part {
  if (Number.isInteger(part) && part >= 0 && part < of) return { part, of };
  return refuse(`${what}: there is no part ${part} of ${of}`);
}

function refuse(problem: string): never {
  throw new UserError(
    problem,
    'Pass --shard I/N, I from 0 to N-1. A Slurm array without gaps and an Indexed Job with JOB_COMPLETIONS set tell --shard auto.',
  );
}
