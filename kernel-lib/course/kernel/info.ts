/** Owns what the kernel says about itself. */
import { protocolVersion } from "../protocol";

/** The kernel_info reply (Jupyter messaging, "Kernel info"). Answered before the engine is loaded, so it is all constant. */
export function kernelInfo(version: string): Record<string, unknown> {
  return {
    status: "ok",
    protocol_version: protocolVersion,
    implementation: "kubebook",
    implementation_version: version,
    language_info: {
      name: "typescript",
      version: "5.0.4",
      mimetype: "text/typescript",
      file_extension: ".ts",
      pygments_lexer: "typescript",
      nbconvert_exporter: "script",
      // The form that both JupyterLab and the classic notebook know TypeScript by.
      codemirror_mode: { mode: "typescript", name: "javascript", typescript: true },
    },
    banner: `TypeScript 5.0.4, Node.js ${process.version}, kubebook ${version}`,
    debugger: false,
    supported_features: [],
    help_links: [
      { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" },
      { text: "Kubernetes networking", url: "https://kubernetes.io/docs/concepts/services-networking/" },
    ],
  };
}
