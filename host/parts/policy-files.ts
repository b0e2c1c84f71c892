/** The files of `--policy`, put in force at the start. */
import type { DeclaredTables } from '../cli/declared-tables.ts';
import { problemsOfDiagnostics } from '../cli/compile-files.ts';
import type { PolicyText } from '../cli/policy-file.ts';
import { ProblemsError } from '../cli/problem.ts';
import type { Diagnostic } from '../compiler/diagnostic.ts';
import { CaucusError } from '../errors.ts';
import type { Logger } from '../observe/log.ts';
import type { Replica } from '../replica/replica.ts';

/** All in one revision; those that are in force already are left out. */
export async function putPolicies(
  replica: Replica,
  declared: DeclaredTables,
  texts: readonly PolicyText[],
  logger: Logger,
): Promise<void> {
  const inForce = new Set(replica.status().policies.map(({ name }) => name));
  const writes: PolicyText[] = [];
  for (const policy of texts) {
    const { name, file, text } = policy;
    const isSame = inForce.has(name) && (await replica.readPolicy(name)).text === text;
    if (isSame) logger.debug('policy-file-ignored', `\`${name}\` is in force already`, { file });
    else writes.push(policy);
  }
  if (writes.length === 0) return;
  const { revision, pending } = await declared
    .write(
      replica,
      writes.map(({ name, text }) => ({ name, text })),
    )
    .catch((error: unknown) => {
      const diagnostics = error instanceof CaucusError ? error.details['diagnostics'] : undefined;
      if (!Array.isArray(diagnostics)) throw error;
      throw new ProblemsError(problemsOfDiagnostics(diagnostics as Diagnostic[], writes));
    });
  const names = writes.map(({ name }) => name);
  const count = names.length === 1 ? '1 policy is' : `${names.length} policies are`;
  if (pending === true) {
    logger.warn('policies-loaded', `${count} stored, and wait for the log`, { names });
  } else {
    logger.info('policies-loaded', `${count} in force`, { names, revision });
  }
}
