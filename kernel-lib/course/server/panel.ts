/** Owns what the Course panel asks: the chapters, and to open, reset or update one. */
import type { Work } from "../work";
import { json } from "./http";
import { type Route, route } from "./router";

/** `/kubebook/api/chapters`. */
export function panelRoutes(work: Work): Route[] {
  const name = (params: Readonly<Record<string, string>>) => params.name ?? "";
  return [
    route("GET", "/kubebook/api/chapters", async () => json(await work.chapters())),
    route("POST", "/kubebook/api/chapters/:name/open", async ({ params }) =>
      json({ path: await work.open(name(params)) }),
    ),
    route("POST", "/kubebook/api/chapters/:name/reset", async ({ params }) =>
      json({ path: await work.reset(name(params)) }),
    ),
    route("POST", "/kubebook/api/chapters/:name/update", async ({ params }) =>
      json({ path: await work.update(name(params)) }),
    ),
  ];
}
