import librarySource from '../../shaders/lib_elements.wgsl';
import type { Constants } from './wgsl.ts';

/** The source of a row-wise kernel that takes its elements as lib_elements.wgsl says. */
export const withElements = (source: string): string => `${librarySource}\n${source}`;

/** By fours, or one by one: the constants of a kernel made by {@link withElements}. */
export function elementConstants(byFours: boolean): Constants {
  return byFours ? {} : { FOUR: 0, SINGLE: 1, WIDE: 1, Values: 'f32', Places: 'u32' };
}
