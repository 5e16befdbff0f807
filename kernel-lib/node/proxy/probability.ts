/** Owns the text of the probabilities by which kube-proxy's iptables rules spread connections. */

/**
 * What stands behind `--probability` for the first of `count` endpoints that are left: 1/count, ten decimals.
 * Cut, not rounded, so that it falls strictly as `count` grows (kubernetes/kubernetes pull request 83599).
 */
export function probabilityText(count: number): string {
  const billions = 10_000_000_000;
  return `${count === 1 ? 1 : 0}.${String(Math.floor(billions / count) % billions).padStart(10, "0")}`;
}
