/** The topics of a state, and cuts that name how far they go. */
import { encodeRecord } from '../log/records.ts';
import type { CutRecord, Vector } from '../log/records.ts';
import { compareStrings } from '../value/string-order.ts';
import type { ReplicatedState } from './replicated-state.ts';
import type { TopicEnd } from './sequencer.ts';
import { POLICY_TOPIC, sourceTopic } from './topics.ts';

/** Those that any writer may append to. */
export function topicsOf({ sources }: ReplicatedState): string[] {
  return [
    POLICY_TOPIC,
    ...[...sources.values()].map(({ name, incarnation }) => sourceTopic(name, incarnation)),
  ];
}

/** The bytes of a cut that names these ends, as far as they are news. */
export function encodeCut(
  { revision, timeMs, ends: applied }: ReplicatedState,
  ends: ReadonlyMap<string, TopicEnd>,
  nowMs: number,
): Uint8Array {
  const news = [...ends].filter(([topic, { end }]) => end > (applied.get(topic)?.end ?? 0));
  const cut: CutRecord = {
    kind: 'cut',
    vector: vectorOf(new Map(news)),
    timeMs: Math.floor(nowMs),
    asOf: { offset: revision, timeMs, vector: vectorOf(applied) },
  };
  return encodeRecord(cut);
}

function vectorOf(ends: ReadonlyMap<string, TopicEnd>): Vector {
  return [...ends]
    .map(([topic, { end, checksum }]) => ({ topic, end, checksum }))
    .sort((a, b) => compareStrings(a.topic, b.topic));
}
