/** Owns the words that stand on the page until JupyterLab does (the element comes with the page, see labpage.ts). */

const element = () => document.getElementById("kubebook-loading");

/** JupyterLab is there: takes the words away. */
export function loaded(): void {
  element()?.remove();
}

/** JupyterLab did not start: says why, where the learner looks. */
export function failed(reason: unknown): void {
  console.error(reason);
  const place = element();
  if (!place) return;
  place.setAttribute("role", "alert");
  place.textContent = `JupyterLab could not start: ${reason instanceof Error ? reason.message : String(reason)}`;
}
