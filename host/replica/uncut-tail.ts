/** What a start finds at the ends of the topics: perhaps records that a crash left uncut. */
import { recordChecksum } from '../log/records.ts';
import type { Log } from '../log/log.ts';
import type { ReplicatedState } from './replicated-state.ts';
import { readRecord } from './restore.ts';
import type { Sequencer } from './sequencer.ts';
import { topicsOf } from './topic-ends.ts';

/** Tells the writer where the topics end. True when the log has records that no cut names. */
export async function adoptEnds(
  log: Log,
  state: ReplicatedState,
  sequencer: Sequencer,
): Promise<boolean> {
  let isTailUncut = false;
  for (const topic of topicsOf(state)) {
    await log.ensureTopic(topic);
    const { end } = await log.bounds(topic);
    const applied = state.ends.get(topic);
    if (applied !== undefined && applied.end === end) {
      sequencer.adoptEnd(topic, applied);
    } else if (end > (applied?.end ?? 0)) {
      isTailUncut = true;
      const checksum = recordChecksum(await readRecord(log, topic, end - 1));
      sequencer.adoptEnd(topic, { end, checksum });
    }
  }
  return isTailUncut;
}
