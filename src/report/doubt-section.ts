import { figureText } from '../common/figure-text.ts';
import type { RunSummary } from '../training/run.ts';
import { section, table } from './html.ts';

const percentText = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** How well what a model says of its own doubt holds, on training prompts that the heads asked had not seen. */
export function doubtSection({ doubt }: RunSummary): string {
  if (!doubt) return '';
  const errors = table(
    ['stated uncertainty', 'images', 'root mean square error', 'within 1.96 × stated'],
    doubt.errors.map(({ n, stated, observed, covered }): [string, string[]] => [
      figureText(stated, 3),
      [String(n), figureText(observed, 3), percentText(covered)],
    ]),
    'Reliability of the stated uncertainty',
  );
  const grades = doubt.grades
    ? table(
        ['stated probability of a grade', 'times', 'true'],
        doubt.grades.map(({ n, stated, observed }): [string, string[]] => [
          percentText(stated),
          [String(n), percentText(observed)],
        ]),
        'Reliability of the probabilities of grades',
      )
    : '';
  const note = `<p>Images of the training set, each by a head that was trained without its prompt (${doubt.folds} folds). A model that knows how sure it is has equal numbers in the first and third column, and 95 % in the last.</p>`;
  return section('Doubt', [note, errors, grades].filter((part) => part !== '').join('\n'));
}
