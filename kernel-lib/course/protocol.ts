/** Owns the shapes of the Jupyter messaging protocol (5.4) that the kernel, its clients and the server share. */

/** The channels of a kernel; each is one ZeroMQ socket, and they share one WebSocket towards the browser. */
export type Channel = "shell" | "control" | "iopub" | "stdin" | "hb";

/** A message's header (Jupyter messaging, "General message format"). */
export interface Header {
  readonly msg_id: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly msg_type: string;
  readonly version: string;
}

/** One message, as it is between the wire formats. `parent_header` is `{}` where there is no parent. */
export interface Message {
  readonly header: Header;
  readonly parent_header: Header | Record<string, never>;
  readonly metadata: Record<string, unknown>;
  readonly content: Record<string, unknown>;
  readonly buffers?: readonly Uint8Array[];
}

/** The connection file that a Jupyter client hands a kernel (Jupyter client, "Connection files"). */
export interface ConnectionInfo {
  readonly transport: "tcp" | "ipc";
  readonly ip: string;
  readonly shell_port: number;
  readonly iopub_port: number;
  readonly stdin_port: number;
  readonly control_port: number;
  readonly hb_port: number;
  readonly key: string;
  readonly signature_scheme: "hmac-sha256";
  readonly kernel_name?: string;
}

/** What one value looks like, by MIME type: text is a string, JSON types are values, binary is base64. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** The version of the messaging protocol that we speak. */
export const protocolVersion = "5.4";
