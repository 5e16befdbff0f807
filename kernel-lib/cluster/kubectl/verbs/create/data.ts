/** Owns `kubectl create configmap|namespace|serviceaccount`. */
import type { Verb } from "../../context";
import { createOrPrint } from "../dryrun";
import { generate, generatorFlags, metadata, oneName } from "./generator";
import { dataOf, keyFlags } from "./keys";

export const configmap: Verb = {
  name: "configmap",
  aliases: ["cm"],
  short: "Create a config map from a local file, directory or literal value",
  usage: "create configmap NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
  flags: [...generatorFlags, ...keyFlags],
  run(context) {
    const name = oneName(context, "configmap");
    const data = dataOf(context, "configmap");
    const draft = {
      apiVersion: "v1",
      ...(Object.keys(data).length > 0 && { data }),
      kind: "ConfigMap",
      metadata: metadata(context, name),
    };
    return generate(context, "ConfigMap", draft, "configmap:");
  },
};

export const namespace: Verb = {
  name: "namespace",
  aliases: ["ns"],
  short: "Create a namespace with the specified name",
  usage: "create namespace NAME [--dry-run=server|client|none]",
  flags: generatorFlags,
  run(context) {
    const name = oneName(context, "namespace");
    const draft = { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {}, status: {} };
    createOrPrint(context, "Namespace", draft, "created");
    return 0;
  },
};

export const serviceaccount: Verb = {
  name: "serviceaccount",
  aliases: ["sa"],
  short: "Create a service account with the specified name",
  usage: "create serviceaccount NAME [--dry-run=server|client|none]",
  flags: generatorFlags,
  run(context) {
    const name = oneName(context, "serviceaccount");
    const draft = { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(context, name) };
    return generate(context, "ServiceAccount", draft, "serviceaccount:");
  },
};
