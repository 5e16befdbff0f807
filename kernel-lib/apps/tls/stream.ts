/** Owns a connection over TLS, either end of it: the handshake, and text in records afterwards. */
import { utf8Length } from "../../net/packet";
import type { TcpHandlers, TcpSocket } from "../../net/socket";
import { hexDigits, type Random } from "../../sim/random";
import { binaryOf, streamOf, textOf } from "../octets";
import type { Certificate } from "./certificate";
import {
  type ClientHello,
  certificateMessage,
  clientHello,
  encryptedExtensions,
  message,
  messageOf,
  messagesIn,
  RecordReader,
  readCertificateMessage,
  readClientHello,
  readProtocol,
  record,
  recordLimit,
  recordOf,
  Sealer,
  serverHello,
  serverNameOf,
  serverRandom,
} from "./records";

/** A program's end of a connection: what it writes goes in records. */
export interface SecureSocket extends TcpSocket {
  /** Whether it speaks TLS; false where the other side does not, and is answered in the clear. */
  readonly secure: boolean;
}

/** How a server presents itself. */
export interface ServerSide {
  /** The chain for a client that calls it so; undefined: the handshake fails. */
  chain(serverName: string | undefined): readonly Certificate[] | undefined;
  /** What it speaks above TLS, the best first. */
  readonly protocols: readonly string[];
  readonly random: Random;
}

/** One message of a handshake, as `curl -v` tells it. */
export interface Step {
  readonly direction: "IN" | "OUT";
  readonly type: "handshake" | "alert" | "change cipher";
  readonly number: number;
  /** Octets of the message. */
  readonly size: number;
}

/** Why there is no connection over TLS. */
export type TlsFailure =
  | { readonly failure: "not-tls" }
  | { readonly failure: "closed" }
  | { readonly failure: "alert"; readonly alert: number }
  /** This side has refused the other's certificate. */
  | { readonly failure: "refused" };

export interface ClientSide {
  /** The name or address by which it calls the server. */
  readonly host: string;
  /** What the server name says instead; null: nothing. */
  readonly serverName?: string | null;
  readonly protocols: readonly string[];
  readonly random: Random;
  /** Whether its hello is padded, as programs over OpenSSL's library do, but not `openssl s_client`. */
  readonly padded: boolean;
  /** Looks at the chain that the server shows (DER); gives the alert by which it is refused, if it is. */
  check(chain: readonly string[]): number | undefined;
  /** The handshake is done; false: this side wants no such server after all. */
  secured(protocol: string | undefined): boolean;
  broken(why: TlsFailure): void;
  step?(step: Step): void;
}

function randomOctets(random: Random, count: number): string {
  return hexDigits(random, 2 * count).replace(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16)));
}

/** Signatures with RSA-2048, hashes of SHA-384, tickets as OpenSSL makes them: their contents are not simulated. */
const sizes = { signature: 260, finished: 48, ticket: 229 };

/** What both ends have: records out and in, under keys once there are any. */
class Ends {
  readonly reader = new RecordReader();
  sealer: Sealer | undefined;
  opener: Sealer | undefined;
  /** The other side has said that no more will come. */
  over = false;
  constructor(readonly raw: TcpSocket) {}

  send(...records: readonly string[]): void {
    if (this.raw.state !== "CLOSED") this.raw.write(streamOf(records.join("")));
  }

  sealed(type: number, content: string): string {
    return this.sealer?.seal(type, content) ?? "";
  }

  write(text: string): void {
    for (const piece of pieces(text)) this.send(this.sealed(record.data, binaryOf(piece)));
  }
}

/** Text in parts that fit into records, no character cut. */
function pieces(text: string): readonly string[] {
  if (text === "") return [];
  if (text.length * 3 <= recordLimit || utf8Length(text) <= recordLimit) return [text];
  const found: string[] = [];
  let piece = "";
  let octets = 0;
  for (const letter of text) {
    const more = utf8Length(letter);
    if (octets + more > recordLimit) {
      found.push(piece);
      [piece, octets] = ["", 0];
    }
    piece += letter;
    octets += more;
  }
  return [...found, piece];
}

function facade(ends: Ends, secure: () => boolean): SecureSocket {
  const { raw } = ends;
  return {
    local: raw.local,
    remote: raw.remote,
    owner: raw.owner,
    get state() {
      return raw.state;
    },
    get secure() {
      return secure();
    },
    write: (text) => (secure() ? ends.write(text) : raw.write(text)),
    end() {
      const open = raw.state === "ESTAB" || raw.state === "CLOSE-WAIT";
      if (secure() && ends.sealer && open) ends.send(ends.sealed(record.alert, "\x01\0"));
      raw.end();
    },
    close: () => raw.close(),
    abort: () => raw.abort(),
  };
}

/** Makes of a server of plain connections one over TLS. Who does not speak TLS is handed on as he is (`secure` is false). */
export function overTls(
  side: ServerSide,
  accept: (socket: SecureSocket) => TcpHandlers,
): (socket: TcpSocket) => TcpHandlers {
  return (raw) => {
    const ends = new Ends(raw);
    let plain = false;
    const socket = facade(ends, () => !plain);
    const inner = accept(socket);
    const fail = (alert: number): void => {
      ends.send(recordOf(record.alert, `\x02${String.fromCharCode(alert)}`));
      raw.end();
    };
    const greet = (body: string): void => {
      const hello = readClientHello(body);
      if (!hello) {
        fail(10);
        return;
      }
      const chain = side.chain(hello.serverName);
      if (!chain) {
        fail(112);
        return;
      }
      flight(ends, side, hello, chain);
    };
    const finish = (): void => {
      const ticket = (): string =>
        ends.sealed(record.handshake, messageOf(message.newSessionTicket, randomOctets(side.random, sizes.ticket)));
      ends.send(ticket(), ticket());
      inner.connected?.(socket);
    };
    const read = (): void => {
      for (let next = ends.reader.next(); next && raw.state !== "CLOSED"; next = ends.reader.next()) {
        if (next === "bad") {
          if (ends.opener) {
            fail(10);
            return;
          }
          plain = true;
          inner.data?.(socket, textOf(ends.reader.rest));
          ends.reader.rest = "";
          return;
        }
        if (next.type === record.handshake) greet(next.body);
        else if (next.type === record.data && ends.opener) {
          const { type, body } = ends.opener.open(next.body);
          if (type === record.handshake) finish();
          else if (type === record.data) inner.data?.(socket, textOf(body));
          else ends.over = true;
        }
      }
    };
    return {
      data(_raw, text) {
        if (plain) inner.data?.(socket, text);
        else {
          ends.reader.feed(binaryOf(text));
          read();
        }
      },
      ended() {
        if (inner.ended) inner.ended(socket);
        else raw.end();
      },
      closed: () => inner.closed?.(socket),
      failed: (_raw, failure) => inner.failed?.(socket, failure),
    };
  };
}

/** The server's part of the handshake, all at once. */
function flight(ends: Ends, side: ServerSide, hello: ClientHello, chain: readonly Certificate[]): void {
  const own = randomOctets(side.random, 32);
  ends.sealer = new Sealer(hello.random, own, "server");
  ends.opener = new Sealer(hello.random, own, "client");
  const protocol = side.protocols.find((one) => hello.protocols.includes(one));
  const messages = [
    encryptedExtensions(protocol),
    certificateMessage(chain.map(({ der }) => der)),
    messageOf(message.certificateVerify, `\x08\x04\x01\0${randomOctets(side.random, sizes.signature - 4)}`),
    messageOf(message.finished, randomOctets(side.random, sizes.finished)),
  ];
  ends.send(
    recordOf(record.handshake, serverHello(own, hello.session, randomOctets(side.random, 32))),
    recordOf(record.changeCipherSpec, "\x01"),
    ...messages.map((each) => ends.sealed(record.handshake, each)),
  );
}

/** The handlers of a client's connection that speaks TLS once it stands; `inner` is told of text, and of the end. */
export function clientOverTls(
  side: ClientSide,
  inner: TcpHandlers & { opened?(socket: SecureSocket): void },
): TcpHandlers {
  let client: ClientEnd | undefined;
  return {
    connected(raw) {
      client = new ClientEnd(raw, side, inner);
      inner.opened?.(client.socket);
      client.begin();
    },
    data: (_raw, text) => client?.receive(text),
    ended(raw) {
      if (!client?.done) client?.stop({ failure: "closed" });
      else if (inner.ended) inner.ended(client.socket);
      else raw.end();
    },
    closed: () => client && inner.closed?.(client.socket),
    failed: (raw, failure) => inner.failed?.(client?.socket ?? raw, failure),
  };
}

/** A client's end of one connection. */
class ClientEnd {
  readonly socket: SecureSocket;
  readonly #ends: Ends;
  readonly #side: ClientSide;
  readonly #inner: TcpHandlers;
  readonly #random: string;
  #protocol: string | undefined;
  #shown: readonly string[] = [];
  #stopped = false;
  /** Whether the handshake is. */
  done = false;

  constructor(raw: TcpSocket, side: ClientSide, inner: TcpHandlers) {
    this.#ends = new Ends(raw);
    this.#side = side;
    this.#inner = inner;
    this.#random = randomOctets(side.random, 32);
    this.socket = facade(this.#ends, () => true);
  }

  begin(): void {
    const { random, host, serverName, protocols, padded } = this.#side;
    const name = serverName === null ? undefined : (serverName ?? serverNameOf(host));
    const session = randomOctets(random, 32);
    const share = randomOctets(random, 32);
    const hello = clientHello({ random: this.#random, session, serverName: name, protocols, share, padded });
    this.#tell("OUT", "handshake", message.clientHello, hello.length);
    this.#ends.send(recordOf(record.handshake, hello, 0x0301));
  }

  #tell(direction: Step["direction"], type: Step["type"], number: number, size: number): void {
    this.#side.step?.({ direction, type, number, size });
  }

  receive(text: string): void {
    const ends = this.#ends;
    ends.reader.feed(binaryOf(text));
    for (let next = ends.reader.next(); next && !this.#stopped; next = ends.reader.next()) {
      if (next === "bad") {
        this.stop({ failure: "not-tls" });
        return;
      }
      if (next.type === record.handshake) this.#greeted(next.body);
      else if (next.type === record.alert) this.#alerted(next.body);
      else if (next.type === record.data && ends.opener) {
        const { type, body } = ends.opener.open(next.body);
        if (type === record.handshake) this.#shake(body);
        else if (type === record.alert) this.#alerted(body);
        else if (type === record.data) this.#inner.data?.(this.socket, textOf(body));
      }
    }
  }

  #greeted(body: string): void {
    const own = serverRandom(body);
    this.#tell("IN", "handshake", message.serverHello, body.length);
    this.#ends.opener = new Sealer(this.#random, own, "server");
    this.#ends.sealer = new Sealer(this.#random, own, "client");
  }

  #alerted(body: string): void {
    const alert = body.charCodeAt(1);
    this.#tell("IN", "alert", body.charCodeAt(0) * 256 + alert, body.length);
    if (alert !== 0) this.stop({ failure: "alert", alert });
  }

  #shake(octets: string): void {
    for (const { type, body, whole } of messagesIn(octets)) {
      this.#tell("IN", "handshake", type, whole.length);
      if (type === message.encryptedExtensions) this.#protocol = readProtocol(body);
      if (type === message.certificate) {
        this.#shown = readCertificateMessage(body);
        const alert = this.#side.check(this.#shown);
        if (alert !== undefined) {
          this.#refuse(alert);
          return;
        }
      }
      if (type === message.finished && !this.done) this.#finish();
    }
  }

  #refuse(alert: number): void {
    this.#tell("OUT", "alert", 0x200 + alert, 2);
    this.#ends.send(this.#ends.sealed(record.alert, `\x02${String.fromCharCode(alert)}`));
    this.stop({ failure: "refused" });
  }

  #finish(): void {
    const finished = messageOf(message.finished, randomOctets(this.#side.random, sizes.finished));
    this.#tell("OUT", "change cipher", 1, 1);
    this.#tell("OUT", "handshake", message.finished, finished.length);
    this.#ends.send(recordOf(record.changeCipherSpec, "\x01"), this.#ends.sealed(record.handshake, finished));
    this.done = true;
    if (this.#side.secured(this.#protocol)) this.#inner.connected?.(this.socket);
    else {
      this.#tell("OUT", "alert", 0x100, 2);
      this.socket.end();
      this.stop({ failure: "refused" });
    }
  }

  /** There is no more to come of it. */
  stop(why: TlsFailure): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#ends.raw.end();
    this.#side.broken(why);
  }
}
