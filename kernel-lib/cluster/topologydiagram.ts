/** Owns the picture of a cluster's network: machines outside, the network, nodes with their devices, pods, and Services. */
import { type Box, counted, type Drawing, ink, type Mark, shorten, type TextMark, textWidth } from "./drawing";
import type { Topology, TopologyDevice, TopologyMachine, TopologyNode, TopologyPod, TopologyService } from "./topology";
import { chip } from "./topologychip";

/** As many boxes as a reader can take in; the rest is counted. */
const most = { nodes: 6, podsOfNode: 3, services: 6, routes: 4 };

const margin = 14;
const space = { chips: 16, rows: 14, inside: 12 };
const size = { outside: 172, device: 118, pod: 136, chip: 50, head: 24, more: 92 };
const top = 62;

/** Where a node's columns begin. */
interface Columns {
  readonly bus: number;
  readonly frame: number;
  readonly physical: number;
  /** Tunnels, and bridges that no pod hangs on. */
  readonly middle: number;
  readonly bridge: number;
  readonly pods: number;
  readonly end: number;
}

interface Row {
  readonly node: TopologyNode;
  readonly frame: Box;
  /** The top of its chips. */
  readonly y: number;
}

export function drawTopology(topology: Topology, title: string, description: string): Drawing {
  const shown = topology.nodes.slice(0, most.nodes);
  const columns = columnsFor(shown);
  const rows = rowsFor(shown, columns);
  const bottom = (rows.at(-1)?.frame.y ?? top) + (rows.at(-1)?.frame.height ?? 0);
  const hidden = topology.nodes.length - shown.length;
  const servicesTop = bottom + (hidden > 0 ? 34 : 18);
  const services = drawServices(topology.services, columns, servicesTop);
  return {
    width: columns.end + margin,
    height: Math.max(services.bottom, outsideHeight(topology.machines)) + margin,
    title,
    description,
    marks: [
      { type: "text", x: margin, y: 24, text: title, size: 15, bold: true },
      ...drawBus(topology.machines, rows, columns),
      ...drawMesh(rows, columns),
      ...rows.map((row) => drawNode(row, columns)),
      ...(hidden > 0
        ? [{ type: "text", x: columns.frame, y: bottom + 20, text: `+ ${hidden} more nodes`, size: 11 } as const]
        : []),
      ...services.marks,
    ],
  };
}

/** The bridge that the node's pods hang on; without pods the last one made. */
function podBridge({ devices, pods }: TopologyNode): TopologyDevice | undefined {
  const bridges = devices.filter(({ kind }) => kind === "bridge");
  return bridges.find(({ name }) => pods.some(({ bridge }) => bridge === name)) ?? bridges.at(-1);
}

/** What stands between the node's plug and that bridge. */
function middleOf(node: TopologyNode): readonly TopologyDevice[] {
  const bridge = podBridge(node);
  return node.devices.filter((device) => device.kind !== "physical" && device !== bridge);
}

function columnsFor(nodes: readonly TopologyNode[]): Columns {
  const step = size.device + space.chips;
  const bus = margin + size.outside + 34;
  const frame = bus + 42;
  const physical = frame + space.inside;
  const middle = physical + step;
  const bridge = middle + Math.max(0, ...nodes.map((node) => middleOf(node).length)) * step;
  const pods = bridge + (nodes.some(podBridge) ? step : 0) + 6;
  const widest = Math.max(1, ...nodes.map((node) => shownPods(node).length));
  const folded = nodes.some((node) => hiddenPods(node) !== "");
  const end = pods + widest * (size.pod + space.chips) + (folded ? size.more : 0);
  return { bus, frame, physical, middle, bridge, pods, end };
}

function rowsFor(nodes: readonly TopologyNode[], columns: Columns): readonly Row[] {
  const height = size.head + size.chip + 26;
  return nodes.map((node, at) => {
    const frame = { x: columns.frame, y: top + at * (height + space.rows), width: columns.end - columns.frame, height };
    return { node, frame, y: frame.y + size.head };
  });
}

/** Pods with a network of their own. */
function ownPods({ pods }: TopologyNode): readonly TopologyPod[] {
  return pods.filter(({ hostNetwork }) => !hostNetwork);
}

function shownPods(node: TopologyNode): readonly TopologyPod[] {
  return ownPods(node).slice(0, most.podsOfNode);
}

function hiddenPods(node: TopologyNode): string {
  const hidden = ownPods(node).length - shownPods(node).length;
  return hidden > 0 ? `+ ${hidden} more ${hidden === 1 ? "pod" : "pods"}` : "";
}

/** The network that all are plugged into, as one line from top to bottom, with the machines outside left of it. */
function drawBus(machines: readonly TopologyMachine[], rows: readonly Row[], { bus }: Columns): readonly Mark[] {
  const chips = machines.map((machine, at) => ({ machine, box: machineBox(machines, at) }));
  const wires = [
    ...chips.map(
      ({ box }) =>
        [
          [box.x + box.width, box.y + 25],
          [bus, box.y + 25],
        ] as const,
    ),
    ...rows.map(
      ({ y, frame }) =>
        [
          [bus, y + size.chip / 2],
          [frame.x + space.inside, y + size.chip / 2],
        ] as const,
    ),
  ];
  const ends = wires.map(([from]) => from[1]);
  const segments = [...new Set(rows.flatMap(({ node }) => node.devices.flatMap(({ segment }) => segment ?? [])))];
  const name: TextMark = {
    type: "text",
    x: bus,
    y: Math.min(...ends) - 14,
    text: segments.join(", "),
    size: 10,
    anchor: "middle",
    colour: ink.faint,
  };
  return [
    name,
    ...wires.map((points): Mark => ({ type: "line", points, stroke: ink.text, thickness: 2 })),
    {
      type: "line",
      points: [
        [bus, Math.min(...ends) - 8],
        [bus, Math.max(...ends) + 8],
      ],
      stroke: ink.text,
      thickness: 5,
    },
    ...chips.map(({ machine, box }) => drawMachine(machine, box)),
  ];
}

function machineBox(machines: readonly TopologyMachine[], at: number): Box {
  const heights = machines.map(({ routes, addresses }) => {
    const lines = Math.min(routes.length, most.routes + 1) + Math.min(addresses.length, 2);
    return lines < 2 ? size.chip : size.chip + (lines - 2) * 13 + 6;
  });
  const y = top + size.head + heights.slice(0, at).reduce((sum, height) => sum + height + 30, 0);
  return { x: margin, y, width: size.outside, height: heights[at] ?? size.chip };
}

function outsideHeight(machines: readonly TopologyMachine[]): number {
  const last = machineBox(machines, machines.length - 1);
  return machines.length === 0 ? 0 : last.y + last.height;
}

function drawMachine({ name, kind, addresses, routes }: TopologyMachine, box: Box): Mark {
  const lines = routes.slice(0, most.routes).map((route) => route.replace(/\/(32|128) /, " ").replace(" via ", " → "));
  if (routes.length > most.routes) lines.push(`+ ${routes.length - most.routes} more routes`);
  return chip({
    box,
    label: kind === "router" ? "router" : "outside",
    name: kind === "router" ? "" : name,
    lines: [...addresses.slice(0, kind === "router" ? 2 : 1), ...lines],
    colour: ink.text,
    radius: kind === "router" ? 18 : 4,
    hint: `${name} ${addresses.join(" ")} ${routes.join(", ")}`.trim(),
  });
}

/** Tunnels run from each node to each other one: drawn as one dashed line through their devices. */
function drawMesh(rows: readonly Row[], columns: Columns): readonly Mark[] {
  const ends = rows.flatMap(({ node, y }) => {
    const at = middleOf(node).findIndex(({ kind }) => kind === "tunnel");
    return at < 0 ? [] : [{ x: columns.middle + at * (size.device + space.chips) + size.device / 2, y }];
  });
  return ends.slice(1).map((end, at): Mark => {
    const above = ends[at] ?? end;
    const points = [
      [above.x, above.y + size.chip],
      [end.x, end.y],
    ] as const;
    return { type: "line", points, stroke: ink.tunnel, thickness: 3, dashed: true };
  });
}

function drawNode({ node, frame, y }: Row, columns: Columns): Mark {
  const onNode = node.pods.filter(({ hostNetwork }) => hostNetwork).length;
  const note = onNode === 0 ? "" : `${counted(onNode, "pod")} on the node's own network`;
  const label = { type: "text", y: frame.y + 16 } as const;
  return {
    type: "group",
    name: `node ${node.name}`,
    marks: [
      { type: "box", ...frame, radius: 10, stroke: ink.text, thickness: 1.2, fill: ink.text, fillOpacity: 0.05 },
      { ...label, x: frame.x + space.inside, text: "node", size: 9.5, colour: ink.faint },
      { ...label, x: frame.x + space.inside + 25, text: node.name, size: 11.5, bold: true },
      ...(note === ""
        ? []
        : [
            {
              ...label,
              x: columns.end - space.inside,
              text: note,
              size: 9.5,
              anchor: "end",
              colour: ink.faint,
            } as const,
          ]),
      ...drawDevices(node, columns, y),
      ...drawPods(node, columns, y),
    ],
  };
}

const looks = {
  physical: { label: "device", colour: ink.text, radius: 2, thickness: 1.3 },
  tunnel: { label: "tunnel", colour: ink.tunnel, radius: 12, thickness: 1.3 },
  bridge: { label: "bridge", colour: ink.text, radius: 2, thickness: 2 },
} as const;

/** The node's devices from its plug to its pods, with a line from each to the next. */
function drawDevices(node: TopologyNode, columns: Columns, y: number): readonly Mark[] {
  const step = size.device + space.chips;
  const bridge = podBridge(node);
  const placed = [
    ...node.devices
      .filter(({ kind }) => kind === "physical")
      .slice(0, 1)
      .map((device) => ({ device, x: columns.physical })),
    ...middleOf(node).map((device, at) => ({ device, x: columns.middle + at * step })),
    ...(bridge ? [{ device: bridge, x: columns.bridge }] : []),
  ];
  const middle = y + size.chip / 2;
  return placed.flatMap(({ device, x }, at): readonly Mark[] => {
    const before = placed[at - 1];
    const points = [
      [(before?.x ?? x) + size.device, middle],
      [x, middle],
    ] as const;
    const box = { x, y, width: size.device, height: size.chip };
    const hint = `${device.kind} ${device.name} ${device.addresses.join(" ")}`.trim();
    return [
      ...(before ? [{ type: "line", points, stroke: looks[device.kind].colour, thickness: 2 } as const] : []),
      chip({ box, ...looks[device.kind], name: device.name, lines: device.addresses.slice(0, 1), hint }),
    ];
  });
}

/** Pods hang on a rail under them, which is the bridge's, or the node's where there is none. */
function drawPods(node: TopologyNode, columns: Columns, y: number): readonly Mark[] {
  const pods = shownPods(node).map((pod, at) => {
    return { pod, box: { x: columns.pods + at * (size.pod + space.chips), y, width: size.pod, height: size.chip } };
  });
  const more = hiddenPods(node);
  const begin = (podBridge(node) ? columns.bridge : columns.physical) + size.device / 2;
  const rail = y + size.chip + 12;
  const last = pods.at(-1);
  const drops = [begin, ...pods.map(({ box }) => box.x + box.width / 2)];
  const colour = ink.text;
  return [
    ...(last
      ? [
          {
            type: "line",
            points: [
              [begin, rail],
              [last.box.x + last.box.width / 2, rail],
            ],
            stroke: colour,
            thickness: 2,
          } as const,
        ]
      : []),
    ...(last
      ? drops.map(
          (x): Mark => ({
            type: "line",
            points: [
              [x, rail + 1],
              [x, y + size.chip],
            ],
            stroke: colour,
            thickness: 2,
          }),
        )
      : []),
    ...pods.map(({ pod, box }) => drawPod(pod, box)),
    ...(more === "" || !last
      ? []
      : [
          {
            type: "text",
            x: last.box.x + size.pod + space.chips,
            y: y + size.chip / 2 + 4,
            text: more,
            size: 11,
          } as const,
        ]),
  ];
}

function drawPod({ key, name, ips, services }: TopologyPod, box: Box): Mark {
  const behind = services[0] === undefined ? "" : shorten(`behind ${services.join(", ")}`, box.width - 12, 9);
  const hint = `pod ${key} ${ips.join(" ")}${services.length > 0 ? `, behind ${services.join(", ")}` : ""}`;
  return chip({
    box,
    label: behind,
    labelColour: ink.service,
    name,
    lines: ips.slice(0, 1),
    colour: ink.path,
    radius: 9,
    hint,
  });
}

/** Services are no places: dashed, in a row of their own. */
function drawServices(
  services: readonly TopologyService[],
  columns: Columns,
  y: number,
): { readonly marks: readonly Mark[]; readonly bottom: number } {
  const marks: Mark[] = [];
  let [x, line] = [columns.frame, y];
  const texts = services.slice(0, most.services).map(({ name, ips, ports, pods }) => {
    const behind = counted(pods, "endpoint");
    return `${name} · ${ips[0] ?? "headless"}${ports[0] === undefined ? "" : `:${ports[0]}`} · ${behind}`;
  });
  if (texts.length > 0)
    marks.push({ type: "text", x: margin, y: y + 16, text: "Services", size: 11, colour: ink.service, bold: true });
  for (const text of texts) {
    const width = textWidth(text, 10.5) + 24;
    if (x + width > columns.end && x > columns.frame) [x, line] = [columns.frame, line + 32];
    marks.push({
      type: "box",
      x,
      y: line,
      width,
      height: 24,
      radius: 12,
      stroke: ink.service,
      dashed: true,
      name: "service",
    });
    marks.push({
      type: "text",
      x: x + width / 2,
      y: line + 16,
      text,
      size: 10.5,
      anchor: "middle",
      colour: ink.service,
    });
    x += width + 12;
  }
  const hidden = services.length - texts.length;
  if (hidden > 0)
    marks.push({ type: "text", x: x + 4, y: line + 16, text: `+ ${hidden} more`, size: 10.5, colour: ink.service });
  return { marks, bottom: texts.length > 0 ? line + 24 : y };
}
