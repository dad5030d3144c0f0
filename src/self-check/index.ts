import { environmentVariable } from '../common/environment.ts';
import { UserError } from '../common/errors.ts';
import { isProcessor } from '../kernels/device/adapter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { sourceVersion } from '../kernels/device/tuning.ts';
import { families } from '../kernels/variant.ts';
import type { Check } from './check.ts';
import { classes } from './classes.ts';
import { primitives } from './primitives.ts';
import { type Finding, savedFindings, saveFindings } from './saved.ts';

export type { Finding } from './saved.ts';

/**
 * A look at an adapter before the engine relies on it: what its arithmetic, subgroups and textures do, and each class of kernel
 * variants at a small size, against the definition. It takes a fraction of a second, most of it compiling, and what is found is kept
 * for the adapter, its driver and these kernels. What is wrong is masked, so that results stay right and only speed is lost.
 */

export const everyCheck: readonly Check[] = [...primitives, ...classes];

export const selfCheckChoices = ['auto', 'always', 'never'] as const;

/** When to check: `auto` is once an adapter and driver. */
export type SelfCheckChoice = (typeof selfCheckChoices)[number];

/** The environment variable that has it checked at every start, or never. */
export const selfCheckVariable = 'CLIP_AGIQA_SELF_CHECK';

function choiceOf(given: SelfCheckChoice | undefined): SelfCheckChoice {
  const environment = environmentVariable(selfCheckVariable);
  return given ?? selfCheckChoices.find((choice) => choice === environment) ?? 'auto';
}

export interface SelfCheckOptions {
  /** By default the environment variable CLIP_AGIQA_SELF_CHECK, else `auto`. */
  readonly choice?: SelfCheckChoice | undefined;
  /** By default all, of which a software adapter is spared the large ones unless `choice` is `always`. */
  readonly checks?: readonly Check[];
  /** Called with each check as it ends. */
  readonly onFinding?: (finding: Finding) => void;
  /** Called with whether results of the adapter can be right at all; by default throws where they cannot. */
  readonly usable?: (error: UserError | undefined) => void;
}

/** What is known of an adapter after {@link checkAdapter}. */
export interface SelfCheck {
  /** The device to go on with: another one where a check took the first with it. */
  readonly gpu: Gpu;
  /** One a check that concerns this adapter; none where it was not to be checked. */
  readonly findings: readonly Finding[];
  /** Whether they are an earlier run's. */
  readonly known: boolean;
}

/**
 * Checks the adapter, where that has not been done before, and masks on the device what is wrong.
 *
 * @throws UserError where something is wrong that nothing stands in for
 */
export async function checkAdapter(gpu: Gpu, options: SelfCheckOptions = {}): Promise<SelfCheck> {
  const choice = choiceOf(options.choice);
  const spared = isProcessor(gpu.adapter) && choice === 'auto';
  const { checks = everyCheck.filter(({ large }) => !(large && spared)), onFinding } = options;
  const { usable = throwIfAny } = options;
  // What computes nothing has no right results.
  if (choice === 'never' || gpu.adapter.name === 'null-backend') return { gpu, findings: [], known: false };
  const whole = gpu.adapter;
  const version = sourceVersion(...families.flatMap(({ sources }) => [...sources]));
  const saved = choice === 'auto' ? savedFindings(gpu, version) : undefined;
  const findings: Finding[] = [];
  if (saved) {
    findings.push(...saved);
    gpu.mask(masksOf(findings));
  } else {
    gpu = await tryAll(gpu, checks, findings, onFinding);
    await saveFindings(gpu, whole, version, findings);
  }
  const fatal = findings.find(({ wrong, masks }) => wrong !== undefined && masks?.length === 0);
  usable(
    fatal &&
      new UserError(
        `${whole.name} computes wrongly (${fatal.name}): ${fatal.wrong}`,
        `Update its driver, or take another adapter by --adapter NAME. ${selfCheckVariable}=always checks again, and =never continues all the same.`,
      ),
  );
  return { gpu, findings, known: saved !== undefined };
}

function throwIfAny(error: UserError | undefined): void {
  if (error) throw error;
}

const masksOf = (findings: readonly Finding[]) => findings.flatMap(({ masks }) => masks ?? []);

/** Runs the checks one after the other, each without what those before it found wrong; gives the device that is left. */
async function tryAll(
  gpu: Gpu,
  checks: readonly Check[],
  findings: Finding[],
  onFinding?: (finding: Finding) => void,
): Promise<Gpu> {
  for (const check of checks) {
    if (!check.applies(gpu)) continue;
    const began = performance.now();
    let wrong = await check.run(gpu).catch((error: unknown) => (error as Error).message.split('\n')[0]!);
    if (gpu.ended) {
      wrong = `it took the device with it (${gpu.ended.message})`;
      gpu = await gpu.reopen();
    }
    const { name, masks } = check;
    const milliseconds = performance.now() - began;
    const finding = { name, milliseconds, ...(wrong !== undefined && { wrong, masks }) };
    findings.push(finding);
    onFinding?.(finding);
    if (wrong === undefined) continue;
    gpu.mask(masksOf(findings));
    if (masks.length === 0) break;
  }
  gpu.trim();
  return gpu;
}

/** Lines for the terminal: that all is right, at the first time, or what is not, at every one. */
export function selfCheckLines({ findings, known }: SelfCheck): string[] {
  const wrong = findings.filter((finding) => finding.wrong !== undefined);
  const lines = wrong.map(
    ({ name, wrong: what, masks }) =>
      `self-check ${name}: ${what}. The engine does without ${masks!.join(' and ')} here`,
  );
  if (known || findings.length === 0) return lines;
  const milliseconds = findings.reduce((sum, finding) => sum + finding.milliseconds, 0);
  const right = findings.length - wrong.length;
  const took = `${Math.round(milliseconds)} ms, once for this adapter and driver`;
  return [
    `self-check ${right} of ${findings.length} things tried on this adapter are right (${took})`,
    ...lines,
  ];
}
