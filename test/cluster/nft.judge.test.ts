/** Our nft, judged by the real one: the same commands one after another, the same words and exit codes. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { Files } from "../../kernel-lib/apps/files";
import { nft } from "../../kernel-lib/cluster/linux/nft";
import { type Call, Failed } from "../../kernel-lib/cluster/shell/tool";
import { Network } from "../../kernel-lib/net/network";
import { createSim } from "../../kernel-lib/sim/sim";
import { requireOrSkip } from "../judges";

/** A line is the arguments of one call, `;` and braces included. */
const commands = `
list ruleset
add table ip t
create table t
add table ip6 t6
add table inet ti
list tables
list tables ip
list table ip nope
list table t
list chain ip t nope
list set ip t nope
list map ip t nope
delete table ip nope
delete chain ip t nope
add chain ip t c
add chain ip t b { type filter hook input priority 0; policy accept; }
add rule ip t c ip saddr 10.0.0.1 drop
add rule ip t b jump c
add rule ip t b jump nope
add rule ip t nope accept
add rule ip t b frobnicate
add rule ip t b frob 1
add rule ip t b tcp dport http accept
add rule ip t b tcp dport 99999 accept
insert rule ip t c counter accept
-a list chain ip t c
-s list chain ip t c
delete rule ip t c handle 99
delete chain ip t c
add set ip t s { type ipv4_addr; }
add element ip t s { 1.2.3.4, 1.2.3.5 }
add element ip t s { 1.2.3.4 }
create element ip t s { 1.2.3.4 }
delete element ip t s { 9.9.9.9 }
get element ip t s { 1.2.3.4 }
-a list table ip t
get element ip t s { 9.9.9.9 }
add element ip t s { 10.0.0.0/8 }
list set ip t s
add rule ip t b ip daddr @nope drop
add rule ip t b ip daddr @s counter drop
delete set ip t s
list sets
list chains
list maps
add map ip t m { type inet_service : verdict; }
add element ip t m { 80 : jump c }
add element ip t m { 80 : drop }
add element ip t m { 80 }
add element ip t m { 81 : goto nope }
list map ip t m
list set ip t m
list map ip t s
add set ip t si { type ipv4_addr; flags interval; }
add element ip t si { 10.0.0.0/8 }
add element ip t si { 10.1.0.0/16 }
delete element ip t si { 10.0.0.0/8 }
add rule ip t c ip6 saddr ::1 accept
add rule ip t c ct state foo accept
add rule ip t c ip saddr vmap @s
add rule ip t c meta l4proto foo accept
add rule ip t c meta mark abc accept
add rule ip t c dnat to 1.2.3.4
add rule ip t c tcp dport 80 dnat to 1.2.3.4:80
add chain ip t b2 { type filter hook foo priority 0; }
add chain ip t b2 { type filter hook input priority foo; }
add chain ip t b2 { type nat hook postrouting priority dstnat; }
add chain ip t b2 { type nat hook forward priority 0; }
add chain ip t b { type filter hook input priority 10; }
add set ip t z { flags interval; }
add set ip t z
add rule ip nope c accept
add chain ip nope c
add set ip nope c { type ipv4_addr; }
add element ip nope c { 1.2.3.4 }
add element ip t nope { 1.2.3.4 }
delete rule ip t c
delete rule ip t c handle
delete rule ip t nope handle 3
flush chain ip t nope
flush set ip t nope
insert rule ip t c position 99 accept
add rule ip t c handle 99 accept
replace rule ip t c handle 99 accept
add rule t c return comment why
-n list table ip t
flush chain ip t b
flush set ip t s
list sets table ip t
list ruleset ip6
list ruleset foo
add table ip a; add chain ip a b; list table ip a
add chain ip a n { type nat hook prerouting priority -100; }
add rule ip a n masquerade
add rule ip a n jump b
add rule ip a b jump b
add rule ip a b jump n
flush chain ip a n
add set ip a f { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
add set ip a f { type ipv4_addr; flags dynamic,timeout; timeout 20s; }
add set ip a f { type ipv6_addr; }
list set ip a f
-c add table ip never
list tables
flush table ip t
list table ip t
rename chain ip a b d
list chain ip a d
add
add table
list
foo
-x
--foo
flush ruleset
list ruleset
`
  .trim()
  .split("\n");

test("every answer of nft, and every complaint, is worded as the real one's", (context) => {
  const real = realAnswers();
  requireOrSkip(context, real.length === commands.length, "the real nft, in a namespace of its own");
  const netns = new Network(createSim(1)).netns("judged");
  const ours = commands.map((command) => `$ nft ${command}\n${ask(netns, command)}`);
  expect(ours.join("\n")).toBe(commands.map((command, index) => `$ nft ${command}\n${real[index]}`).join("\n"));
});

function words(command: string): readonly string[] {
  return command.split(" ");
}

function ask(netns: Call["place"]["netns"], command: string): string {
  let text = "";
  const place = { netns, user: "root", files: new Files(netns.network.sim.clock) };
  const call = {
    name: "nft",
    args: words(command),
    place,
    folder: "/",
    stdin: "",
    out: (more: string) => (text += more),
  };
  try {
    const code = nft(call as unknown as Call);
    return `${text}${code}`;
  } catch (error) {
    if (error instanceof Failed) return `${text}${error.message}\n${error.exitCode}`;
    throw error;
  }
}

const mark = "=-=-=";

function realAnswers(): readonly string[] {
  const quoted = (word: string): string => `'${word}'`;
  const script = commands.map((command) => `nft ${words(command).map(quoted).join(" ")} 2>&1; echo "$?${mark}"`);
  const run = spawnSync("unshare", ["-Urn", "sh", "-c", script.join("\n")], { encoding: "utf8", timeout: 30_000 });
  return run.stdout
    .split(`${mark}\n`)
    .slice(0, -1)
    .map((answer) => answer.replace(/[ \t]+$/gm, ""));
}
