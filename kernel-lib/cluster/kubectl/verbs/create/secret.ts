/** Owns `kubectl create secret generic|tls|docker-registry`. */
import { readCertificates } from "../../../../apps/tls/certificate";
import { readPrivateKey } from "../../../../apps/tls/keys";
import { resolvePath } from "../../../shell/filesystem";
import { Failed } from "../../../shell/tool";
import { type Context, type Verb, verbOfVerbs } from "../../context";
import { compactJson } from "../../print/json";
import { generate, generatorFlags, metadata, oneName } from "./generator";
import { dataOf, keyFlags } from "./keys";

const generic: Verb = {
  name: "generic",
  short: "Create a secret from a local file, directory, or literal value",
  usage:
    "create secret generic NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
  flags: [...generatorFlags, ...keyFlags, { name: "type", type: "string" }],
  run(context) {
    const name = oneName(context, "secret generic");
    return make(context, name, dataOf(context, "secret"), context.flags.text("type"));
  },
};

const tls: Verb = {
  name: "tls",
  short: "Create a TLS secret",
  usage: "create secret tls NAME --cert=path/to/cert/file --key=path/to/key/file [--dry-run=server|client|none]",
  flags: [
    ...generatorFlags,
    { name: "cert", type: "string" },
    { name: "key", type: "string" },
    { name: "append-hash", type: "bool" },
  ],
  run(context) {
    const { flags } = context;
    if (!flags.text("cert") || !flags.text("key")) throw new Failed("error: key and cert must be specified");
    const name = oneName(context, "secret tls");
    const [cert, key] = [flags.text("cert") ?? "", flags.text("key") ?? ""];
    const data = { "tls.crt": fileAt(context, cert), "tls.key": fileAt(context, key) };
    checkPair(data["tls.crt"], data["tls.key"]);
    return make(context, name, data, "kubernetes.io/tls");
  },
};

/** What crypto/tls's X509KeyPair refuses, in its words. */
function checkPair(cert: string, key: string): void {
  const certificates = readCertificates(cert);
  if (certificates.length === 0) {
    const other = /-----BEGIN ([A-Z ]+)-----/.exec(cert)?.[1];
    if (other?.endsWith("PRIVATE KEY")) {
      throw new Failed(
        "error: tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
      );
    }
    throw new Failed(
      other === undefined
        ? "error: tls: failed to find any PEM data in certificate input"
        : `error: tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${other}]`,
    );
  }
  if (!/-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(key)) {
    const other = /-----BEGIN ([A-Z ]+)-----/.exec(key)?.[1];
    if (other === "CERTIFICATE") {
      throw new Failed("error: tls: found a certificate rather than a key in the PEM for the private key");
    }
    throw new Failed(
      other === undefined
        ? "error: tls: failed to find any PEM data in key input"
        : `error: tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${other}]`,
    );
  }
  const [leaf] = certificates;
  const secret = readPrivateKey(key);
  if (!leaf) throw new Failed("error: x509: malformed certificate");
  if (!secret) throw new Failed("error: tls: failed to parse private key");
  if (!leaf.belongsTo(secret)) throw new Failed("error: tls: private key does not match public key");
}

const registry: Verb = {
  name: "docker-registry",
  short: "Create a secret for use with a Docker registry",
  usage:
    "create secret docker-registry NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string]",
  flags: [
    ...generatorFlags,
    ...keyFlags,
    { name: "docker-username", type: "string" },
    { name: "docker-password", type: "string" },
    { name: "docker-email", type: "string" },
    { name: "docker-server", type: "string" },
  ],
  run(context) {
    const { flags } = context;
    const name = oneName(context, "secret docker-registry");
    const type = "kubernetes.io/dockerconfigjson";
    if (flags.given("from-file")) return make(context, name, dataOf(context, "secret"), type);
    const [username, password] = [flags.text("docker-username") ?? "", flags.text("docker-password") ?? ""];
    if (username === "" || password === "") {
      throw new Failed(
        `error: either --from-file or the combination of --docker-username, --docker-password and --docker-server is required`,
      );
    }
    const email = flags.text("docker-email");
    const auth = base64(`${username}:${password}`);
    // In this order, as encoding/json writes the fields of its struct.
    const entry = `{"username":${compactJson(username)},"password":${compactJson(password)}${email === undefined ? "" : `,"email":${compactJson(email)}`},"auth":${compactJson(auth)}}`;
    const server = flags.text("docker-server") ?? "https://index.docker.io/v1/";
    return make(context, name, { ".dockerconfigjson": `{"auths":{${compactJson(server)}:${entry}}}` }, type);
  },
};

export const secret: Verb = {
  ...verbOfVerbs("create secret", "Create a secret using a specified subcommand", [registry, generic, tls]),
  name: "secret",
};

function fileAt({ call }: Context, path: string): string {
  const text = call.place.files.read(resolvePath(call.folder, path));
  if (text === undefined) throw new Failed(`error: Cannot read file ${path}, open ${path}: no such file or directory`);
  return text;
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function make(
  context: Context,
  name: string,
  texts: Readonly<Record<string, string>>,
  type: string | undefined,
): number {
  const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, base64(text)]));
  const draft = {
    apiVersion: "v1",
    ...(Object.keys(data).length > 0 && { data }),
    kind: "Secret",
    metadata: metadata(context, name),
    ...(type !== undefined && { type }),
  };
  return generate(context, "Secret", draft, "secret");
}
