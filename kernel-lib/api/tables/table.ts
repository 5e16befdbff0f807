/** Owns the shape of server-made tables: what `kubectl get` prints comes from here, column for column. */
import type { KubeObject } from "../kinds";

export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly format: string;
  readonly description: string;
  /** 0: always shown; 1: only with `-o wide`. */
  readonly priority: number;
}

export type Cell = string | number | boolean;

export interface Row {
  readonly cells: readonly Cell[];
  readonly object: KubeObject;
}

/** A meta.k8s.io/v1 Table. */
export interface Table {
  readonly kind: "Table";
  readonly apiVersion: "meta.k8s.io/v1";
  readonly metadata: { readonly resourceVersion: string };
  readonly columnDefinitions: readonly Column[];
  readonly rows: readonly Row[];
}
