import { packageVersion } from '../common/package.ts';
import type { Reporter } from '../common/reporter.ts';
import { NodeSources } from './node-sources.ts';
import { type RecordedStep, type RecordOptions, recordStep, type StepSubject } from './record-step.ts';

/** {@link recordStep} in Node. */
export function recordInNode(
  subject: StepSubject,
  reporter: Reporter,
  options: RecordOptions = {},
): Promise<RecordedStep> {
  return recordStep(subject, { version: packageVersion(), sources: new NodeSources() }, reporter, options);
}
