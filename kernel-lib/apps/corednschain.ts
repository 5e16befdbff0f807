/** Owns the shape of CoreDNS' plugins, and how those of one server block become one chain, in CoreDNS' own order. */
import type { Store } from "../api/store";
import type { SocketAddress } from "../net/address";
import type { Program } from "./app";
import { CorefileError, type Directive, type ServerBlock } from "./corefile";
import type { DnsAnswer, DnsMessage, Question, Rcode } from "./dns";

/** A query on its way through the plugins. */
export interface Asked {
  readonly message: DnsMessage;
  readonly question: Question;
  readonly client: SocketAddress;
  readonly local: SocketAddress;
  readonly transport: "udp" | "tcp";
}

/** Answers a query, now or later; `problem` says why it could not. */
export type Handler = (asked: Asked, done: (answer: DnsAnswer, problem?: string) => void) => void;

/** What plugins are set up with. */
export interface Setup {
  readonly program: Program;
  readonly store: Store;
  /** The zones of the server block. */
  readonly zones: readonly string[];
  /** Asks the server itself, as for the target of an alias. */
  readonly ask: Handler;
  log(level: "INFO" | "WARNING" | "ERROR", text: string): void;
  /** A mistake in a plugin's line. */
  fail(directive: Directive, why: string): CorefileError;
}

/** A plugin wraps the one after it. */
export type Plugin = (directive: Directive, setup: Setup) => (next: Handler) => Handler;

/** An answer without records. */
export function emptyAnswer(rcode: Rcode): DnsAnswer {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}

/** At the end of a chain: nobody had an answer. */
const nobody: Handler = (_asked, done) => done(emptyAnswer("SERVFAIL"), "plugin/forward: no next plugin found");

/**
 * The chain of a server block.
 * @param order names of the plugins that answer, the outermost first
 * @throws CorefileError
 */
export function chainOf(
  block: ServerBlock,
  plugins: Readonly<Record<string, Plugin>>,
  processWide: readonly string[],
  setup: Omit<Setup, "zones" | "fail">,
  path: string,
): Handler {
  const fail = ({ line }: Directive, why: string): CorefileError => {
    return new CorefileError(`${path}:${line} - Error during parsing: ${why}`);
  };
  const given = new Map<string, Directive>();
  for (const directive of block.directives) {
    const { name } = directive;
    if (!Object.hasOwn(plugins, name) && !processWide.includes(name))
      throw fail(directive, `Unknown directive '${name}'`);
    if (given.has(name) && name !== "rewrite") {
      throw new CorefileError(
        `plugin/${name}: ${path}:${directive.line} - Error during parsing: this plugin can only be used once per Server Block`.replace(
          /^plugin\/\w+: /,
          "",
        ),
      );
    }
    given.set(name, directive);
  }
  const whole: Setup = { ...setup, zones: block.zones, fail };
  const wraps = Object.keys(plugins).flatMap((name) => {
    return block.directives.filter((one) => one.name === name).map((one) => (plugins[name] as Plugin)(one, whole));
  });
  return wraps.reduceRight((next, wrap) => wrap(next), nobody);
}
