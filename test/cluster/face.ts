/** Owns what the tests of the notebook's face import: the face itself, and how a value would be shown. */

export { bundleOf } from "../../kernel-lib/cluster/display";
export * from "../../kernel-lib/index";
