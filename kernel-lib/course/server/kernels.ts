/** Owns the running kernels, and `/api/kernels` over them. */
import { empty, HttpError, isObject, type JsonObject, json } from "./http";
import type { Root } from "./paths";
import { type Route, route } from "./router";
import { type LaunchKernel, RunningKernel } from "./runningkernel";

/** A kernel as the REST API shows it. */
export interface KernelModel {
  readonly id: string;
  readonly name: string;
  readonly last_activity: string;
  readonly execution_state: string;
  readonly connections: number;
}

/** Asked for a kernel that this server does not have; answered by 501 with these words, as Jupyter does. */
export class NoSuchKernel extends Error {
  constructor(readonly kernelName: string) {
    super(
      `The '${kernelName}' kernel is not available. Please pick another suitable kernel instead, or install that kernel.`,
    );
  }
}

export class Kernels {
  private readonly kernels = new Map<string, RunningKernel>();

  /** @param kernelName the one kernel this server starts; the default too */
  constructor(
    private readonly root: Root,
    readonly kernelName: string,
    private readonly launch: LaunchKernel,
    private readonly log: (line: string) => void,
  ) {}

  has(id: string): boolean {
    return this.kernels.has(id);
  }

  /** @throws HttpError 404 */
  get(id: string): RunningKernel {
    const kernel = this.kernels.get(id);
    if (kernel === undefined) throw new HttpError(404, `Kernel does not exist: ${id}`);
    return kernel;
  }

  list(): RunningKernel[] {
    return [...this.kernels.values()];
  }

  /**
   * Starts a kernel and returns at once.
   * @param path API path of the document (or folder) it is for: it runs in that folder
   * @throws NoSuchKernel
   */
  async start(name: string, path: string): Promise<RunningKernel> {
    if (name !== this.kernelName) throw new NoSuchKernel(name);
    const cwd = await this.root.folderFor(path);
    const kernel = new RunningKernel(name, cwd, this.launch, ({ id }) => this.kernels.delete(id), this.log);
    this.kernels.set(kernel.id, kernel);
    return kernel;
  }

  /** Ends a kernel; it is off the list at once. @throws HttpError 404 */
  async stop(id: string): Promise<void> {
    const kernel = this.get(id);
    this.kernels.delete(id);
    await kernel.stop();
  }

  /** Ends them all; one that does not end keeps none of the others. */
  async stopAll(): Promise<void> {
    await Promise.allSettled(this.list().map(({ id }) => this.stop(id)));
  }
}

export function kernelModel(kernel: RunningKernel): KernelModel {
  return {
    id: kernel.id,
    name: kernel.name,
    last_activity: kernel.lastActivity.toISOString(),
    execution_state: kernel.state,
    connections: kernel.connections,
  };
}

/** What a front end is told when it asks for a kernel that is not there. */
export function noSuchKernelAnswer(error: NoSuchKernel) {
  return json({ message: error.message, short_message: `${error.kernelName} not found` }, 501);
}

/** Text in a field of a body, `undefined` where it is absent or null. @throws HttpError 400 where it is something else */
export function textField(body: JsonObject | null, field: string): string | undefined {
  const value = body?.[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new HttpError(400, `Field '${field}' in JSON data is not a string`);
  return value;
}

/** An object in a field of a body, `null` where it is absent. @throws HttpError 400 */
export function objectField(body: JsonObject | null, field: string): JsonObject | null {
  const value = body?.[field] ?? null;
  if (value !== null && !isObject(value)) throw new HttpError(400, `Field '${field}' in JSON data is not an object`);
  return value;
}

/** `/api/kernels`, and what one can do with a kernel. */
export function kernelRoutes(kernels: Kernels): Route[] {
  return [
    route("GET", "/api/kernels", () => json(kernels.list().map(kernelModel))),
    route("POST", "/api/kernels", async (call) => {
      const body = await call.json();
      try {
        const kernel = await kernels.start(
          textField(body, "name") ?? kernels.kernelName,
          textField(body, "path") ?? "",
        );
        return json(kernelModel(kernel), 201, { Location: `/api/kernels/${kernel.id}` });
      } catch (error) {
        if (error instanceof NoSuchKernel) return noSuchKernelAnswer(error);
        throw error;
      }
    }),
    route("GET", "/api/kernels/:id", ({ params }) => json(kernelModel(kernels.get(params.id ?? "")))),
    route("DELETE", "/api/kernels/:id", async ({ params }) => {
      await kernels.stop(params.id ?? "");
      return empty();
    }),
    route("POST", "/api/kernels/:id/interrupt", async ({ params }) => {
      await kernels.get(params.id ?? "").interrupt();
      return empty();
    }),
    route("POST", "/api/kernels/:id/restart", async ({ params }) => {
      const kernel = kernels.get(params.id ?? "");
      try {
        await kernel.restart();
      } catch {
        throw new HttpError(500, "Exception restarting kernel");
      }
      return json(kernelModel(kernel));
    }),
  ];
}
