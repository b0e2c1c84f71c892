/** Paths of imports as names of policies: the compiler reads no files. */

/** The path's last part without its last extension, as the command line names policies of files. */
export function policyNameOfPath(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const dot = base.lastIndexOf('.');
  return dot > 0 ? base.slice(0, dot) : base;
}
