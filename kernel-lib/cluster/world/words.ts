/** Owns the words of a question that is asked at a command line: which there are, and what is said of the others. */
import { tryParseCidr } from "../../net/address";
import { modeNames } from "../../node/proxy/mode";
import type { ExplainQuestion } from "../explain";
import { InputError } from "../flows/input";
import type { ProxySayings } from "./proxy";

/** As they were typed. */
export interface QuestionWords {
  readonly from: string;
  readonly to: string;
  readonly protocol?: string;
  readonly mode?: string;
  readonly node?: string;
  readonly family?: string;
  readonly clusterCidr?: string;
}

/** What they ask, and what they say of kube-proxy. @throws InputError that names the option */
export function readWords(words: QuestionWords): { readonly question: ExplainQuestion; readonly said: ProxySayings } {
  const { from, to, node, clusterCidr } = words;
  const protocol = oneOf("protocol", words.protocol?.toLowerCase(), ["tcp", "udp", "sctp"] as const);
  const family = oneOf("family", words.family, ["IPv4", "IPv6"] as const);
  const mode = oneOf("mode", words.mode, modeNames);
  const wrong = clusterCidr === "none" ? undefined : clusterCidr?.split(",").find((text) => !tryParseCidr(text));
  if (wrong !== undefined) {
    throw new InputError(`--cluster-cidr must be prefixes like 10.244.0.0/16, or none, not ${JSON.stringify(wrong)}`);
  }
  return {
    question: {
      from,
      to,
      ...(node !== undefined && { node }),
      ...(protocol && { protocol }),
      ...(family && { family }),
    },
    said: { ...(mode && { mode }), ...(clusterCidr !== undefined && { clusterCidr }) },
  };
}

function oneOf<T extends string>(flag: string, given: string | undefined, words: readonly T[]): T | undefined {
  if (given === undefined) return undefined;
  const found = words.find((word) => word === given);
  if (found === undefined)
    throw new InputError(`--${flag} must be one of ${words.join(", ")}, not ${JSON.stringify(given)}`);
  return found;
}
