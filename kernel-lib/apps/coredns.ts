/** Owns CoreDNS as kubeadm sets it up: the cluster's names over UDP port 53, and what it asks others. */
import type { App } from "./app";
import { type ClusterDnsOptions, clusterDns } from "./clusterdns";
import { isDns } from "./dns";
import { dnsResponse } from "./dnsmessage";
import { serveHttp } from "./httpserver";

/** A server of the names in `options.store`. Health is on 8080, readiness on 8181, as its plugins have it. */
export function coredns(options: ClusterDnsOptions, version: string): App {
  const answer = clusterDns(options);
  return (program) => {
    const socket = program.netns.sockets.openUdp(
      { port: 53, owner: "coredns" },
      {
        received(server, { payload, source }) {
          if (!isDns(payload) || payload.response) return;
          server.send(dnsResponse(payload, answer(payload.question)), source);
        },
      },
    );
    program.own(socket);
    const ok = () => ({ status: 200, headers: [["Content-Type", "text/plain; charset=utf-8"]] as const, body: "OK" });
    serveHttp(program, { port: 8080, owner: "coredns" }, ok);
    serveHttp(program, { port: 8181, owner: "coredns" }, ok);
    program.write(`.:53\nCoreDNS-${version}\nlinux/amd64\n`);
    program.onSignal("SIGTERM", () => {
      program.write("[INFO] SIGTERM: Shutting down servers then terminating\n");
      program.exit(0);
    });
  };
}
