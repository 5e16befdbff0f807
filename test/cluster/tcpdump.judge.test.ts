import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { requireOrSkip } from "../judges";

/** What happens while node-1 is watched: every kind of packet that the cluster knows. */
const traffic = [
  "kubectl create deployment web --image=nginx --replicas=2",
  "kubectl run box --image=busybox -- sleep 100000",
  "kubectl wait --for=condition=Ready pod --all",
  "web=$(kubectl get pods -l app=web -o jsonpath='{.items[*].status.podIP}')",
];
const watched = (device: string): string =>
  [
    `tcpdump -w /tmp/${device}.pcap -i ${device} & sleep 1`,
    "ip neigh flush all",
    "for ip in WEB; do ping -c 1 $ip; curl -s -o /dev/null $ip; curl -s $ip:81; ping -c 1 -t 1 $ip; done",
    "for ip in WEB; do nc -zu -w 1 $ip 99; ping -c 1 -s 2000 -M dont $ip; ping -c 1 -s 1440 -M do $ip; done",
    "nslookup web.default.svc.cluster.local 10.96.0.10; nslookup nosuch.default.svc.cluster.local 10.96.0.10",
    "ping -c 1 9.9.9.9; ping -c 1 192.168.1.1; ping -c 1 192.168.1.77; ping -6 -c 1 ff02::1%eth0",
    "kill %1; sleep 1",
  ].join("\n");

const options = [
  "-n",
  "-ne",
  "-nv",
  "-nvv",
  "-nev",
  "-nS",
  "-nq",
  "-ntt",
  "-nt",
  "-nx",
  "-nXX",
  "-nA",
  "-n#",
  "-ttttn",
  "-nnnq",
];
const filters = [
  "icmp",
  "arp",
  "tcp",
  "udp port 8472",
  "host 192.168.1.12",
  "src host 192.168.1.12",
  "dst 192.168.1.12 and not arp",
  "net 10.244.0.0/16",
  "src net 10.244",
  "tcp port 80",
  "port 53 or 80",
  "portrange 80-90",
  "tcp dst port 80",
  "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
  "tcp[13] & 4 != 0",
  "icmp[icmptype] == icmp-echo",
  "icmp[0] = 11 or icmp[0] = 3",
  "ip[8] < 64",
  "ip proto 1",
  "greater 500",
  "less 60",
  "len > 100 and len <= 1000",
  "not (tcp or udp)",
  "icmp and (host 192.168.1.12 or net 10.244.0.0/16)",
  "ether broadcast",
  "broadcast or icmp6",
  "ip6",
  "ip and not tcp and not udp",
  "src 192.168.1.11 && dst port 8472",
  "ip[6:2] & 0x1fff != 0",
  "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
  "udp[4:2] > 100",
  "ether[12:2] = 0x0806",
];
const mistakes = [
  "foo bar",
  "host",
  "tcp and (port 80",
  "port nosuch",
  "host nosuch.invalid",
  "net foo",
  "icmp[",
  "and",
  "net 10.244.1.1/16",
];

const folder = mkdtempSync(join(tmpdir(), "kubebook-tcpdump-"));
const version = spawnSync("tcpdump", ["--version"], { encoding: "utf8" });
const available = /tcpdump version 4\.99\./.test(`${version.stdout}${version.stderr}`);
let cluster: Cluster;

beforeAll(async () => {
  cluster = new Cluster({ seed: 4 });
  await cluster.start();
  const session = cluster.session();
  for (const line of traffic) await session.type(line, () => {});
  const ips = cluster.store
    .list("Pod")
    .flatMap(({ metadata, status }) => (/^web/.test(metadata.name) ? (status.podIP ?? []) : []));
  const node = cluster.session(cluster.node("node-1").place);
  for (const device of ["eth0", "flannel.1", "cni0"]) {
    for (const line of watched(device).replaceAll("WEB", ips.join(" ")).split("\n")) await node.type(line, () => {});
    const text = cluster.node("node-1").place.files.read(`/tmp/${device}.pcap`) ?? "";
    writeFileSync(join(folder, `${device}.pcap`), Buffer.from(text, "latin1"));
  }
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function ours(arguments_: string): Promise<string> {
  let stdout = "";
  const node = cluster.session(cluster.node("node-1").place);
  await node.type(`cd /tmp; tcpdump ${arguments_}`, (stream, text) => {
    if (stream === "stdout" || /^tcpdump: /.test(text)) stdout += text;
  });
  return stdout;
}

function theirs(file: string, args: readonly string[]): string {
  const path = join(folder, file);
  const run = spawnSync("tcpdump", ["-r", path, ...args], {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
    maxBuffer: 1e8,
  });
  return (
    run.stdout +
    run.stderr
      .split("\n")
      .filter((line) => /^tcpdump: /.test(line))
      .map((line) => `${line}\n`)
      .join("")
  );
}

test.for(["eth0", "flannel.1", "cni0"])(
  "tcpdump prints the frames of %s as the real one does",
  async (device, context) => {
    requireOrSkip(context, available, "tcpdump 4.99 is not here");
    for (const option of options) {
      expect(await ours(`-r ${device}.pcap ${option}`), option).toBe(theirs(`${device}.pcap`, [option]));
    }
  },
);

test("tcpdump's filters take the frames that the real one takes", async (context) => {
  requireOrSkip(context, available, "tcpdump 4.99 is not here");
  for (const file of ["eth0.pcap", "cni0.pcap"]) {
    for (const filter of filters) {
      expect(await ours(`-nr ${file} '${filter}'`), filter).toBe(theirs(file, ["-n", filter]));
    }
  }
  const everything = filters.map((filter) => theirs("eth0.pcap", ["-n", filter]));
  expect(everything.filter((text) => text !== "").length).toBeGreaterThan(15);
});

test("tcpdump complains of a filter as the real one does", async (context) => {
  requireOrSkip(context, available, "tcpdump 4.99 is not here");
  for (const filter of mistakes) {
    expect(await ours(`-nr eth0.pcap '${filter}'`), filter).toBe(theirs("eth0.pcap", ["-n", filter]));
  }
});
