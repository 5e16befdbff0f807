import { describe, expect, test } from "vitest";
import { Files } from "../../kernel-lib/apps/files";
import { ConfError } from "../../kernel-lib/apps/nginxconf";
import { defaultConf, locationFor, readServers, type Server, serverFor } from "../../kernel-lib/apps/nginxservers";
import { anyIpv4 } from "../../kernel-lib/net/address";
import { createSim } from "../../kernel-lib/sim/sim";

function servers(conf: string, more: Readonly<Record<string, string>> = {}): readonly Server[] {
  const { clock } = createSim(1);
  return readServers(new Files(clock, { ...defaultConf, "/etc/nginx/conf.d/default.conf": conf, ...more }));
}

function problem(conf: string): string {
  try {
    servers(conf);
  } catch (error) {
    if (error instanceof ConfError) return error.message;
    throw error;
  }
  return "none";
}

const at = "in /etc/nginx/conf.d/default.conf";

describe("nginx's configuration", () => {
  test.each([
    ["server {\n  listn 80;\n}", `unknown directive "listn" ${at}:2`],
    ["listen 80;", `"listen" directive is not allowed here ${at}:1`],
    ["server { root /a", `unexpected end of file, expecting ";" or "}" ${at}:1`],
    ["server { root /a;", `unexpected end of file, expecting "}" ${at}:1`],
    ["server { root /a; } }", `unexpected "}" ${at}:1`],
    ["server { root; }", `invalid number of arguments in "root" directive ${at}:1`],
    ["server { root /a }", `unexpected "}" ${at}:1`],
    ["server { root /a { } }", `directive "root" is not terminated by ";" ${at}:1`],
    ["server ;", `directive "server" has no opening "{" ${at}:1`],
    ["server { listen 70000; }", `invalid port in "70000" of the "listen" directive ${at}:1`],
    ["server { listen 80 tls; }", `invalid parameter "tls" ${at}:1`],
    [
      "server { listen 80 default_server; } server { listen 80 default_server; }",
      "a duplicate default server for 0.0.0.0:80",
    ],
    ["\nserver { listen 443 ssl; }", `no "ssl_certificate" is defined for the "listen ... ssl" directive ${at}:2`],
    ["server { ssl_certificate /a; }", 'no "ssl_certificate_key" is defined for certificate "/a"'],
    ["server { location / { proxy_pass http://a; } }", `directive "proxy_pass" is not simulated here ${at}:1`],
    ["include /etc/nginx/none.conf;", `open() "/etc/nginx/none.conf" failed (2: No such file or directory) ${at}:1`],
    ["# server { nonsense; }\nserver { root '/a;b}'; }", "none"],
  ])("%j: %s", (conf, expected) => {
    expect(problem(conf)).toBe(expected);
  });

  test("chooses the server by name, then by star, then the default one, then the first", () => {
    const found = servers(`
      server { server_name first; root /first; }
      server { listen 80 default_server; root /default; }
      server { server_name *.example.org; root /star; }
      server { server_name a.example.org b; root /exact; }
      server { server_name www.*; root /end; }
    `);
    const root = (host?: string): string | undefined => serverFor(found, { ip: anyIpv4, port: 80 }, host)?.root;
    expect([root("first"), root("A.example.org"), root("c.example.org"), root("www.x"), root("x"), root()]).toEqual([
      "/first",
      "/exact",
      "/star",
      "/end",
      "/default",
      "/default",
    ]);
    expect(serverFor(found, { ip: anyIpv4, port: 81 }, "first")).toBeUndefined();
  });

  test("chooses the location: an exact one, then a regular expression, then the longest beginning", () => {
    const [server] = servers(`server {
      root /server;
      location / { root /all; }
      location /images/ { root /images; }
      location ^~ /static/ { root /static; }
      location = /images/a.png { root /exact; }
      location ~ \\.(png|gif)$ { root /regex; }
      location ~* \\.JPG$ { root /any-case; }
    }`);
    if (!server) throw new Error("a server was written");
    const paths = ["/", "/images/", "/images/a.png", "/images/b.png", "/static/b.png", "/a.jpg", "/a.gif/"];
    expect(paths.map((path) => locationFor(server, path).root)).toEqual([
      "/all",
      "/images",
      "/exact",
      "/regex",
      "/static",
      "/any-case",
      "/all",
    ]);
  });
});
