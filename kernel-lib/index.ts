/** Owns the face of kernel-lib: what a notebook may import. */
// biome-ignore-all assist/source/organizeImports: grouped by what they are for

// The cluster and its prompt.
export { Cluster } from "./cluster/cluster";
export type { ClusterOptions } from "./cluster/options";
export { currentCluster, file, node, sh, startCluster, terminal } from "./cluster/lab";
export type { NodeHandle, ShellCommand, ShellResult, ShellTag, Terminal } from "./cluster/lab";

// Looking at it: the way of a packet, what the rules say, many requests at once, and charts of them.
export type { BarOptions, BarRow, Measure } from "./cluster/bars";
export type { Capture, CaptureAt, SeenFrame } from "./cluster/capture";
export type { DnsQueries, DnsQuery } from "./cluster/dnsqueries";
export type { Chart } from "./cluster/chart";
export { chart } from "./cluster/charts";
export type { Explanation, ExplainQuestion, Outcome } from "./cluster/explain";
export type {
  Lifeline,
  LifelineOptions,
  LifelineRecord,
  LifeMoment,
  LifeSpan,
  MomentKind,
  PodLife,
} from "./cluster/lifeline";
export type { LifelineChartOptions } from "./cluster/lifelinechart";
export type { Load, LoadOptions } from "./cluster/load";
export type { NetworkCheck, NetworkProbe, PathKind } from "./cluster/requirements";
export type { Change, End, Header, Hop, HopKind, Reason } from "./cluster/hops";
export type { Question } from "./cluster/question";
export type { RequestOutcome } from "./cluster/request";
export type { TimelineOptions } from "./cluster/timeline";
export type {
  Topology,
  TopologyDevice,
  TopologyMachine,
  TopologyNode,
  TopologyOptions,
  TopologyPod,
  TopologyService,
} from "./cluster/topology";
export type { Step, Trace, TraceQuestion } from "./cluster/trace";
export type {
  FailureKind,
  Traffic,
  TrafficOptions,
  TrafficOutcome,
  TrafficPhase,
  TrafficReport,
  TrafficTry,
} from "./cluster/traffic";
export type { ReportsByName, TrafficChartOptions } from "./cluster/trafficcharts";

// Showing values on the page.
export { type DisplayPlace, display, type MimeBundle, newDisplay } from "./cluster/display";
