import { archiveAttacks } from './archives.ts';
import type { Attack } from './attack.ts';
import { imageAttacks } from './images.ts';
import { pickleAttacks } from './pickles.ts';
import { runAttacks } from './runs.ts';
import { tableAttacks } from './tables.ts';

export const attacks: readonly Attack[] = [
  ...pickleAttacks,
  ...archiveAttacks,
  ...tableAttacks,
  ...imageAttacks,
  ...runAttacks,
];
