/** Owns how texts are kept that there are a million of. */

/**
 * The same text in one piece. What is put together from parts is kept as these parts until somebody reads into it, at
 * many times the room.
 */
export function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}
