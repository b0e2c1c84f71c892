/** `STEPS WORKLOAD`: db-ivm as a contestant. */
import { inputOf, type Workload } from '../workloads.ts';
import { PEERS_VARIABLE } from './contestants.ts';
import { joinWithDbIvm } from './libraries/db-ivm.ts';

const [steps = '', workload = ''] = process.argv.slice(2);
const tables = inputOf(JSON.parse(workload) as Workload);
const answer = await joinWithDbIvm(process.env[PEERS_VARIABLE] ?? '', tables, steps);
console.log(JSON.stringify(answer));
