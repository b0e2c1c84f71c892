/** The names of the topics. */
import { ownerNameProblem } from '../compiler/catalog.ts';
import { CaucusError } from '../errors.ts';

export const POLICY_TOPIC = 'policy';
export const CUTS_TOPIC = 'cuts';
/** Announcements of replicas; no cut names it. */
export const REPLICAS_TOPIC = 'replicas';
/** The list of forks; no cut names it. */
export const FORKS_TOPIC = 'forks';

export function sourceTopic(name: string, incarnation: number): string {
  return `source.${name}.${incarnation}`;
}

/** Policies, sources and their tables: throws `invalid_request` for what a rule could not name. */
export function checkName(what: 'policy' | 'source' | 'table', name: string): void {
  const problem = what === 'table' ? tableNameProblem(name) : ownerNameProblem(name);
  if (problem === undefined) return;
  throw new CaucusError('invalid_request', `bad ${what} name: ${problem}`, {
    remedy: `give the ${what} another name`,
  });
}

function tableNameProblem(name: string): string | undefined {
  // Further colons belong to the name of a table.
  return name === '' ? 'it is empty' : ownerNameProblem(`t${name.replaceAll(':', '')}`);
}
