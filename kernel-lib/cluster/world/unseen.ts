/** Owns passing over what nobody looks at: large dumps are mostly that, and reading YAML is most of the time an answer takes. */

/** Of these the values are not looked at. */
const unseen = "managedFields|annotations|env|volumes|volumeMounts|containerStatuses|initContainerStatuses|images";
const opening = new RegExp(`^( *(?:- )*)(${unseen}): *$`);

/**
 * The text with such blocks left out, line for line (so that what is said of a line still holds). Only blocks as kubectl
 * prints them are recognised; all else stays as it is.
 */
export function withoutUnseen(text: string): string {
  let column = -1;
  return text
    .split("\n")
    .map((line) => {
      const start = line.search(/\S/);
      if (column >= 0 && (start < 0 || start > column || (start === column && line[start] === "-"))) return "";
      const [, before, key] = opening.exec(line) ?? [];
      column = before === undefined ? -1 : before.length;
      return before === undefined ? line : `${before}${key}: null`;
    })
    .join("\n");
}
