/** Owns what the Course panel asks the server: the chapters, and to open, reset or update one. */
import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";

/** How far the learner is: never opened, opened, or every cell ran without an unexpected error since the last reset. */
export type ChapterState = "new" | "opened" | "done";

/** One chapter of the course, as the panel shows it. */
export interface Chapter {
  readonly name: string;
  readonly title: string;
  readonly minutes: number;
  readonly goals: readonly string[];
  /** Where the learner's copy lies, from the root of the file browser. */
  readonly path: string;
  readonly state: ChapterState;
  /** The chapter changed after the learner's copy was made. */
  readonly update: boolean;
}

/** What can be asked for one chapter. */
export type ChapterAction = "open" | "reset" | "update";

/** The course as the server knows it. */
export class Course {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** All chapters in order. @throws ServerConnection.ResponseError with the server's words. */
  async chapters(): Promise<readonly Chapter[]> {
    return (await this.ask("GET", "chapters")) as readonly Chapter[];
  }

  /** Does the action and tells where the learner's copy is. @throws ServerConnection.ResponseError */
  async act(name: string, action: ChapterAction): Promise<string> {
    const answer = await this.ask("POST", "chapters", encodeURIComponent(name), action);
    return (answer as { readonly path: string }).path;
  }

  private async ask(method: "GET" | "POST", ...parts: string[]): Promise<unknown> {
    const url = URLExt.join(this.settings.baseUrl, "kubebook/api", ...parts);
    const init = method === "POST" ? { method, body: "{}" } : { method };
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    if (!response.ok) throw await ServerConnection.ResponseError.create(response);
    return response.json();
  }
}

/** The chapter's number, from the file's name (`05-connecting-applications` → "5"); empty without one. */
export function chapterNumber(name: string): string {
  return /^0*(\d+)-/.exec(name)?.[1] ?? "";
}
