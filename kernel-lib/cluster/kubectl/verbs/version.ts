/** Owns `kubectl version`. */
import { kubernetesVersion } from "../../../control/bootstrap/version";
import type { Verb } from "../context";

export const version: Verb = {
  name: "version",
  short: "Print the client and server version information",
  usage: "version [--client] [--output=json|yaml]",
  flags: [
    { name: "client", type: "bool" },
    { name: "output", short: "o", type: "string" },
  ],
  run: ({ flags, out }) => {
    out(`Client Version: ${kubernetesVersion}\nKustomize Version: v5.7.1\n`);
    if (!flags.is("client")) out(`Server Version: ${kubernetesVersion}\n`);
    return 0;
  },
};
