/** Owns what the kernel says about itself. */
import { languageInfo, typescriptVersion } from "../language";
import { protocolVersion } from "../protocol";

/** The kernel_info reply (Jupyter messaging, "Kernel info"). Answered before the engine is loaded, so it is all constant. */
export function kernelInfo(version: string): Record<string, unknown> {
  return {
    status: "ok",
    protocol_version: protocolVersion,
    implementation: "kubebook",
    implementation_version: version,
    language_info: languageInfo,
    banner: `TypeScript ${typescriptVersion}, Node.js ${process.version}, kubebook ${version}`,
    debugger: false,
    supported_features: [],
    help_links: [
      { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" },
      { text: "Kubernetes networking", url: "https://kubernetes.io/docs/concepts/services-networking/" },
    ],
  };
}
