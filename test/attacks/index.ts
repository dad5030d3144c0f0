import { archiveAttacks } from './archives.ts';
import type { Attack } from './attack.ts';
import { pickleAttacks } from './pickles.ts';
import { tableAttacks } from './tables.ts';

export const attacks: readonly Attack[] = [...pickleAttacks, ...archiveAttacks, ...tableAttacks];
