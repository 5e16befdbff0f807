/** Owns the reading of what kubectl's typed clients send: Kubernetes' protobuf (apimachinery pkg/runtime/serializer/protobuf). */

/** A message's fields by their number, in the order in which they came: numbers, or bytes. */
type Message = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

const magic = [0x6b, 0x38, 0x73, 0];

/** The object of a body that begins with the magic bytes, as JSON would have it; undefined: it is no protobuf. */
export function readProtobuf(body: Uint8Array): object | undefined {
  if (!magic.every((byte, at) => body[at] === byte)) return undefined;
  const unknown = messageOf(body.subarray(magic.length));
  const type = inner(unknown, 1);
  const raw = inner(unknown, 2) ?? new Map();
  const [apiVersion = "", kind = ""] = [text(type, 1), text(type, 2)];
  const reader = readers[kind];
  if (!reader) throw new Error(`no reader of ${kind} in protobuf`);
  return { apiVersion, kind, ...reader(raw) };
}

const readers: Readonly<Record<string, (message: Message) => object>> = {
  DeleteOptions: deleteOptions,
  Eviction: (message) => ({
    metadata: metadata(inner(message, 1)),
    deleteOptions: deleteOptions(inner(message, 2) ?? new Map()),
  }),
  Job: job,
  PodDisruptionBudget: (message) => {
    const spec = inner(message, 2);
    return {
      metadata: metadata(inner(message, 1)),
      spec: {
        ...(inner(spec, 1) && { minAvailable: numberOrText(inner(spec, 1)) }),
        ...(inner(spec, 3) && { maxUnavailable: numberOrText(inner(spec, 3)) }),
        selector: selector(inner(spec, 2)),
      },
    };
  },
};

/** As much of a Job as `kubectl create job` writes. */
function job(message: Message): object {
  const pod = inner(inner(inner(message, 2), 6), 2);
  const containers = (pod?.get(2) ?? []).map((bytes) => {
    const container = messageOf(bytes as Uint8Array);
    const command = (container.get(3) ?? []).map(textOf);
    return { name: text(container, 1), image: text(container, 2), ...(command.length > 0 && { command }) };
  });
  return {
    metadata: metadata(inner(message, 1)),
    spec: { template: { spec: { containers, restartPolicy: text(pod, 3) } } },
  };
}

function deleteOptions(message: Message): object {
  const grace = message.get(1)?.[0];
  return {
    ...(typeof grace === "number" && { gracePeriodSeconds: grace }),
    dryRun: (message.get(5) ?? []).map(textOf),
  };
}

function metadata(message: Message | undefined): object {
  return { name: text(message, 1), ...(text(message, 3) && { namespace: text(message, 3) }) };
}

function numberOrText(message: Message | undefined): number | string {
  return message?.get(1)?.[0] === 1 ? (text(message, 3) ?? "") : Number(message?.get(2)?.[0] ?? 0);
}

function selector(message: Message | undefined): object {
  const labels = (message?.get(1) ?? []).map((pair) => messageOf(pair as Uint8Array));
  const expressions = (message?.get(2) ?? []).map((each) => messageOf(each as Uint8Array));
  return {
    ...(labels.length > 0 && { matchLabels: Object.fromEntries(labels.map((pair) => [text(pair, 1), text(pair, 2)])) }),
    ...(expressions.length > 0 && {
      matchExpressions: expressions.map((each) => {
        return { key: text(each, 1), operator: text(each, 2), values: (each.get(3) ?? []).map(textOf) };
      }),
    }),
  };
}

function inner(message: Message | undefined, field: number): Message | undefined {
  const bytes = message?.get(field)?.[0];
  return bytes instanceof Uint8Array ? messageOf(bytes) : undefined;
}

function text(message: Message | undefined, field: number): string | undefined {
  const bytes = message?.get(field)?.[0];
  return bytes instanceof Uint8Array && bytes.length > 0 ? textOf(bytes) : undefined;
}

function textOf(bytes: number | Uint8Array): string {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString("utf8") : String(bytes);
}

function messageOf(bytes: Uint8Array): Message {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    let value: number | Uint8Array;
    if ((tag & 7) === 0) value = varint();
    else if ((tag & 7) === 2) {
      const length = varint();
      value = bytes.subarray(at, at + length);
      at += length;
    } else throw new Error(`wire type ${tag & 7}`);
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}
