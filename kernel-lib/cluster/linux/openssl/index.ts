/** Owns openssl: which of its commands there are. */
import { type Call, Failed, type Tool } from "../../shell/tool";
import { digest, genpkey, genrsa, pkey, rand } from "./keys";
import { req } from "./req";
import { sClient } from "./sclient";
import { verify } from "./verify";
import { version } from "./words";
import { x509 } from "./x509";

type Command = (call: Call, args: readonly string[]) => number | Promise<number>;

const commands: Readonly<Record<string, Command>> = {
  dgst: digest,
  genpkey,
  genrsa,
  md5: (call, args) => digest(call, args, "md5"),
  pkey,
  rand,
  req,
  rsa: pkey,
  s_client: sClient,
  sha1: (call, args) => digest(call, args, "sha1"),
  sha256: (call, args) => digest(call, args, "sha256"),
  verify,
  x509,
  version: (call) => {
    call.out(`${version}\n`);
    return 0;
  },
};

export const openssl: Tool = async (call) => {
  const [name, ...args] = call.args;
  if (name === undefined || name === "help") {
    call.err(`Standard commands\n${Object.keys(commands).sort().join("  ")}\n`);
    return name === undefined ? 1 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new Failed(`Invalid command '${name}'; type "help" for a list.`);
  return command(call, args);
};
