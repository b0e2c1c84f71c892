/** What processes have cost. */
import { readFileSync } from 'node:fs';

/** The unit of `/proc`, the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** User and system time of all threads of a process so far, ms. */
export function cpuMs(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    throw new Error('the CPU time of a process is read from `/proc`, which is not there');
  }
  // `id (name) state …`; a name may hold anything. utime and stime are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}
