/** Owns what names, labels, ports and addresses may look like, and Kubernetes' words for what is wrong with one. */
import { type FieldError, invalidValue } from "../errors";
import type { Labels } from "../meta";
import { isCidr, parseIp } from "./ip";

function tooLongBy(limit: number): string {
  return `must be no more than ${limit} bytes`;
}

function expression(text: string, regex: string, ...examples: string[]): string {
  const list = examples.map((example) => `'${example}', `).join(" or ");
  return `${text} (e.g. ${list}regex used for validation is '${regex}')`;
}

type Check = (value: string) => readonly string[];

function pattern(regex: string, limit: number, text: string, ...examples: string[]): Check {
  const whole = new RegExp(`^(?:${regex})$`);
  return (value) => {
    const errors: string[] = [];
    if (value.length > limit) errors.push(tooLongBy(limit));
    if (!whole.test(value)) errors.push(expression(text, regex, ...examples));
    return errors;
  };
}

/** What is said of a count or a span below zero. */
export const nonNegative = "must be greater than or equal to 0";

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const edges = "must start and end with an alphanumeric character";

/** Container, port and namespace names. */
export const dnsLabel = pattern(
  label,
  63,
  `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and ${edges}`,
  "my-name",
  "123-abc",
);

/** Names of most objects. */
export const dnsSubdomain = pattern(
  `${label}(\\.${label})*`,
  253,
  `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and ${edges}`,
  "example.com",
);

/** Names of Services. */
export const dns1035Label = pattern(
  "[a-z]([-a-z0-9]*[a-z0-9])?",
  63,
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, " +
    "and end with an alphanumeric character",
  "my-name",
  "abc-123",
);

const word = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const namePart = pattern(
  word,
  63,
  `name part must consist of alphanumeric characters, '-', '_' or '.', and ${edges}`,
  "MyName",
  "my.name",
  "123-abc",
);

/** Keys of labels and annotations: `app`, `example.com/tier`. */
export function qualifiedName(value: string): readonly string[] {
  const parts = value.split("/");
  if (parts.length > 2) {
    const text = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and";
    const help = expression(`${text} ${edges}`, word, "MyName", "my.name", "123-abc");
    return [`${help} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors: string[] = [];
  const [name, prefix] = parts.length === 2 ? [parts[1] as string, parts[0]] : [value, undefined];
  if (prefix === "") errors.push("prefix part must be non-empty");
  else if (prefix !== undefined) errors.push(...dnsSubdomain(prefix).map((message) => `prefix part ${message}`));
  if (name === "") return [...errors, "name part must be non-empty", ...namePart(name)];
  return [...errors, ...namePart(name).map((message) => message.replace(/^must be/, "name part must be"))];
}

export const labelValue: Check = pattern(
  `(${word})?`,
  63,
  `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and ${edges}`,
  "MyValue",
  "my_value",
  "12345",
);

/** Names of ports in containers and of `targetPort` (IANA service names, RFC 6335). */
export function portName(value: string): readonly string[] {
  const errors: string[] = [];
  if (value.length > 15) errors.push(tooLongBy(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) errors.push("must contain at least one letter (a-z)");
  if (value.includes("--")) errors.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) errors.push("must not begin or end with a hyphen");
  return errors;
}

export const portNumber = (value: number): readonly string[] =>
  value >= 1 && value <= 65_535 ? [] : ["must be between 1 and 65535, inclusive"];

export const ipAddress: Check = (value) =>
  parseIp(value) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];

export const cidr: Check = (value) =>
  isCidr(value) ? [] : ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"];

export const environmentName: Check = (value) =>
  /^[\x20-\x3c\x3e-\x7e]+$/.test(value)
    ? []
    : [
        expression(
          "a valid environment variable name must consist only of printable ASCII characters other than '='",
          "^[ -<>-~]+$",
        ).replace("(e.g. regex", "(regex"),
      ];

/** Keys of ConfigMaps and Secrets. */
export const configKey = pattern(
  "[-._a-zA-Z0-9]+",
  253,
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  "key.name",
  "KEY_NAME",
  "key-name",
);

/** Each message of a check as an error of a field. */
export function check(field: string, value: string, test: Check): FieldError[] {
  return test(value).map((message) => invalidValue(field, value, message));
}

/** metav1validation.ValidateLabels. */
export function checkLabels(field: string, labels: Labels | undefined): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...check(field, key, qualifiedName),
    ...check(field, value, labelValue),
  ]);
}

/** What no endpoint and no external IP may be: no address, or one that means every host, this one or this link. */
export function nonSpecialIp(field: string, ip: string): FieldError[] {
  const wrong = check(field, ip, ipAddress);
  if (wrong.length > 0) return wrong;
  if (ip === "0.0.0.0" || ip === "::") return [invalidValue(field, ip, `may not be unspecified (${ip})`)];
  if (/^127\.|^::1$/.test(ip)) {
    return [invalidValue(field, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)")];
  }
  if (/^169\.254\.|^fe[89ab]/i.test(ip)) {
    return [invalidValue(field, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")];
  }
  if (/^224\.0\.0\.|^ff.2:/i.test(ip)) {
    return [invalidValue(field, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")];
  }
  return [];
}
