/** FNV-1a of a text's UTF-8 bytes, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/). */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The same, as eight hexadecimal digits. */
export const fnv1aHex = (text: string): string => fnv1a32(text).toString(16).padStart(8, '0');
