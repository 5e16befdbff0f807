/** Owns bringing a chapter's new text into a learner's copy: three versions of the cells in, one out, nothing of theirs lost. */

/** What merging must know of a cell. */
export interface MergeCell {
  readonly id?: unknown;
  readonly source: string;
}

/**
 * Merges by cell id. What the learner changed or added stays as it is; what only the chapter changed is taken over, also
 * a cell that it dropped; a cell that the learner deleted stays deleted.
 *
 * @param base the chapter's cells when the copy was made (or last updated)
 * @param theirs the chapter's cells now
 * @param mine the learner's cells
 */
export function mergeCells<T extends MergeCell>(base: readonly T[], theirs: readonly T[], mine: readonly T[]): T[] {
  const before = byId(base);
  const now = byId(theirs);
  const own = byId(mine);
  const kept = mine.flatMap((cell) => {
    const old = before.get(cell.id);
    const upstream = now.get(cell.id);
    if (old === undefined || cell.source !== old.source) return [cell];
    if (upstream === undefined) return [];
    return [cell.source === upstream.source ? cell : upstream];
  });
  const added = theirs.filter(({ id }) => !own.has(id) && !before.has(id));
  // Who did not move anything follows the chapter's order, who did keeps theirs.
  if (sameOrder(mine, base)) {
    const result = byId(kept);
    const skeleton = theirs.flatMap((cell) => result.get(cell.id) ?? (added.includes(cell) ? [cell] : []));
    return insertAfter(skeleton, kept, mine);
  }
  return insertAfter(kept, added, theirs);
}

function byId<T extends MergeCell>(cells: readonly T[]): ReadonlyMap<unknown, T> {
  return new Map(cells.filter(({ id }) => typeof id === "string").map((cell) => [cell.id, cell]));
}

/** Whether the cells that two lists share stand in the same order in both. */
function sameOrder(a: readonly MergeCell[], b: readonly MergeCell[]): boolean {
  const [inA, inB] = [byId(a), byId(b)];
  const shared = (list: readonly MergeCell[]) => list.map(({ id }) => id).filter((id) => inA.has(id) && inB.has(id));
  const [first, second] = [shared(a), shared(b)];
  return first.every((id, index) => id === second[index]);
}

/** Puts those of `cells` that `list` lacks each behind the cell that it follows in `order`, at the top if it follows none. */
function insertAfter<T extends MergeCell>(list: readonly T[], cells: readonly T[], order: readonly T[]): T[] {
  const result = [...list];
  const place = (cell: MergeCell) =>
    result.findIndex((other) => other === cell || (isNamed(cell) && other.id === cell.id));
  for (const [index, cell] of order.entries()) {
    const inserted = cells.find((other) => other === cell || (isNamed(cell) && other.id === cell.id));
    if (inserted === undefined || place(cell) >= 0) continue;
    const previous = order
      .slice(0, index)
      .reverse()
      .find((other) => place(other) >= 0);
    result.splice(previous === undefined ? 0 : place(previous) + 1, 0, inserted);
  }
  return result;
}

function isNamed(cell: MergeCell): boolean {
  return typeof cell.id === "string";
}
