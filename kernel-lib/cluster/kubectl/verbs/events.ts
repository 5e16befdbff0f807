/** Owns `kubectl events` (k8s.io/kubectl pkg/cmd/events). */
import { findResource, type Kinds, type Resource, resourceOf } from "../../../api/kinds";
import { humanDuration, parseTime } from "../../../api/time";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat, printObject, printObjects } from "../print/printer";
import { alignRows } from "../print/text";
import { watchObjects } from "../watch";

type Event = Kinds["Event"];

export const events: Verb = {
  name: "events",
  short: "List events",
  usage: "events [(-o|--output=)FORMAT] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
  flags: [
    { name: "watch", short: "w", type: "bool" },
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "for", type: "string" },
    { name: "types", type: "list" },
    { name: "no-headers", type: "bool" },
    { name: "chunk-size", type: "int" },
    { name: "output", short: "o", type: "string" },
    { name: "template", type: "string" },
    { name: "show-managed-fields", type: "bool" },
  ],
  run: showEvents,
};

async function showEvents(context: Context): Promise<number> {
  const { api, flags, namespace } = context;
  const all = flags.is("all-namespaces");
  const wanted = filterOf(context);
  const format = parseFormat(context);
  const found = api.list("Event", all ? {} : { namespace }).filter(wanted);
  if (flags.is("watch")) {
    const print =
      format.format === "table" ? rowPrinter(context, all) : (event: Event) => printObject(context, format, event);
    for (const event of found) print(event);
    return watchObjects(context, resourceOf("Event"), undefined, all, (object, type) => {
      if (object.kind === "Event" && type !== "DELETED" && wanted(object)) print(object);
    });
  }
  if (found.length === 0) {
    context.err(all ? "No events found.\n" : `No events found in ${namespace} namespace.\n`);
    return 0;
  }
  const sorted = [...found].sort((one, other) => timeOf(one) - timeOf(other));
  if (format.format !== "table") printObjects(context, format, sorted, true);
  else context.out(alignRows([...headOf(context, all), ...sorted.map((event) => cellsOf(context, event, all))]));
  return 0;
}

/** `--for` and `--types`. @throws Failed in kubectl's words */
function filterOf({ flags }: Context): (event: Event) => boolean {
  const types = flags.texts("types").flatMap((text) => text.split(","));
  const about = flags.text("for");
  const meant = about === undefined || about === "" ? undefined : objectMeant(about);
  if (types.some((type) => !["normal", "warning"].includes(type.toLowerCase()))) {
    throw new Failed("error: valid --types are Normal or Warning");
  }
  return ({ type = "", involvedObject: object }) => {
    if (types.length > 0 && !types.some((each) => each.toLowerCase() === type.toLowerCase())) return false;
    return !meant || (object.kind === meant.resource.kind && object.name === meant.name);
  };
}

function objectMeant(text: string): { readonly resource: Resource; readonly name: string } {
  const [type = "", name = "", ...more] = text.split("/");
  if (!text.includes("/")) throw new Failed("error: --for must be in resource/name form");
  if (more.length > 0) throw new Failed("error: arguments in resource/name form may not have more than one slash");
  const resource = findResource(type);
  if (!resource) throw new Failed(`the server doesn't have a resource type "${type.toLowerCase()}"`);
  return { resource, name };
}

/** Lines one by one, in columns that only grow; the head comes with the first. */
function rowPrinter(context: Context, all: boolean): (event: Event) => void {
  let widest: string[] | undefined;
  return (event) => {
    const rows = [...(widest ? [] : headOf(context, all)), cellsOf(context, event, all)];
    const known = widest;
    widest = Array.from({ length: rows[0]?.length ?? 0 }, (_, at) => {
      return "x".repeat(Math.max(...[...(known ? [known] : []), ...rows].map((row) => [...(row[at] ?? "")].length)));
    });
    const text = alignRows([widest, ...rows]);
    context.out(text.slice(text.indexOf("\n") + 1));
  };
}

function headOf({ flags }: Context, all: boolean): readonly (readonly string[])[] {
  if (flags.is("no-headers")) return [];
  return [[...(all ? ["NAMESPACE"] : []), "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]];
}

function cellsOf({ call }: Context, event: Event, all: boolean): readonly string[] {
  const { now } = call.cluster.sim.clock;
  const since = (timestamp: string | undefined): string => {
    const time = parseTime(timestamp ?? "");
    return time === undefined ? "<unknown>" : humanDuration(now - time);
  };
  const first = since(event.eventTime ?? event.firstTimestamp);
  const count = event.series?.count ?? event.count ?? 1;
  const last = event.series?.lastObservedTime ?? event.lastTimestamp;
  const { involvedObject: object, metadata, type = "", reason = "", message = "" } = event;
  return [
    ...(all ? [metadata.namespace ?? ""] : []),
    event.series || count > 1 ? `${since(last)} (x${count} over ${first})` : first,
    ...[type, reason, `${object.kind}/${object.name}`, message.trim()],
  ];
}

function timeOf({ series, lastTimestamp, eventTime }: Event): number {
  return parseTime(series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? "") ?? 0;
}
