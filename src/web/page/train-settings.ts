import type { TrainArgs } from '../protocol.ts';

/** What learns, in words. */
export const trainers = {
  'clip-agiqa': 'prompts and head (CLIP-AGIQA)',
  linear: 'head alone, fixed prompts',
  'image-only': 'head alone, no prompts',
} as const;

interface NumberField {
  readonly label: string;
  readonly usual: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export const fields = {
  epochs: { label: 'Epochs', usual: 20, min: 1, max: 200, step: 1 },
  lr: { label: 'Learning rate', usual: 0.001, min: 0.00001, max: 0.1, step: 0.00001 },
  batchSize: { label: 'Images a step', usual: 32, min: 2, max: 256, step: 1 },
  nCtx: { label: 'Context vectors', usual: 16, min: 1, max: 32, step: 1 },
  dropout: { label: 'Dropout', usual: 0.5, min: 0, max: 0.9, step: 0.05 },
  seed: { label: 'Seed', usual: 1, min: 1, max: 1_000_000, step: 1 },
} as const satisfies Record<string, NumberField>;
export type FieldName = keyof typeof fields;

export const fieldNames = Object.keys(fields) as FieldName[];

/** As `node dist/train.js` spells it. */
export const optionOf = (name: string) =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** What an address asks for behind `#train` or `#step`; what is missing or out of range is as usual. */
export function trainArgsOf(query: URLSearchParams): TrainArgs {
  const numbers = fieldNames.map((name) => {
    const { min, max, usual } = fields[name];
    const asked = Number(query.get(name));
    return [name, query.has(name) && asked >= min && asked <= max ? asked : usual];
  });
  const trainer = query.get('trainer') ?? '';
  return {
    trainer: Object.hasOwn(trainers, trainer) ? trainer : 'clip-agiqa',
    ...Object.fromEntries(numbers),
  };
}

/** The fields that are not as usual. */
export const unusual = (args: TrainArgs): FieldName[] =>
  fieldNames.filter((name) => args[name] !== fields[name].usual);

/** What an address asks with, `?…`; '' where all is as usual. */
export function queryOf(args: TrainArgs): string {
  const query = new URLSearchParams(unusual(args).map((name) => [name, String(args[name])]));
  if (args.trainer !== 'clip-agiqa') query.set('trainer', args.trainer);
  return query.size > 0 ? `?${query}` : '';
}
