/** Owns what an image's name says. */

/** The tag of an image's name: `latest` if it names neither tag nor digest, `""` with a digest only. */
export function imageTag(image: string): string {
  const at = image.indexOf("@");
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  if (colon >= 0) return name.slice(colon + 1);
  return at < 0 ? "latest" : "";
}
