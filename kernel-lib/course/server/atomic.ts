/** Owns writing a file so that it is there whole, the old one or the new one, whatever happens in between. */
import { randomBytes } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Writes beside the file and moves over it; the permissions of an old file stay. */
export async function writeWhole(file: string, content: string | Uint8Array, mode?: number): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString("hex")}.tmp`);
  const old = await stat(file).catch(() => null);
  const handle = await open(temporary, "wx", mode ?? 0o666);
  try {
    if (old !== null && mode === undefined) await handle.chmod(old.mode & 0o777);
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}
