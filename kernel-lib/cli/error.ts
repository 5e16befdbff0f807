/** Owns the error that a user should read and mend: the command prints its message, and nothing else. */
export class CliError extends Error {
  /** @param exitCode what the command ends with: 1 it failed, 2 it was asked wrongly */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(message);
    this.name = "CliError";
  }
}
