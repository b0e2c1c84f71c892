/** The suite `cluster`: what three replicas on real components give, and what they should. */
import type { Progress } from '../../deploy/loopback/processes.ts';
import type { Entry } from '../report.ts';
import { measureLatency } from './latency.ts';
import type { LatencySize } from './latency.ts';
import { measureRestart } from './restart.ts';
import type { RestartSize } from './restart.ts';
import { measureThroughput } from './throughput.ts';
import type { ThroughputSize } from './throughput.ts';

export const CLUSTER_PARTS = [
  'latency one broker',
  'latency three brokers',
  'throughput',
  'restart',
] as const;

/** Sizes are parameters, so that a test can run the whole of it on little. */
export interface ClusterSize {
  readonly latency: LatencySize;
  readonly throughput: ThroughputSize;
  readonly restart: RestartSize;
}

const FULL: ClusterSize = {
  latency: { rows: 1_200, policies: 400, warmUp: 300, paceMs: 15 },
  throughput: { batches: 1_000, warmUp: 200 },
  restart: { batches: 1_000, batchRows: 1_000, singles: 100_000, behind: 20_000 },
};

/** Throws where a figure would not be worth anything: other digests, other births, lost rows. */
export async function measureCluster(
  part: string,
  onProgress: Progress,
  size: ClusterSize = FULL,
): Promise<Entry[]> {
  switch (part) {
    case 'latency one broker':
      return await measureLatency(1, size.latency, onProgress);
    case 'latency three brokers':
      return await measureLatency(3, size.latency, onProgress);
    case 'throughput':
      return await measureThroughput(size.throughput, onProgress);
    case 'restart':
      return await measureRestart(size.restart, onProgress);
    default:
      throw new Error(`the suite \`cluster\` has no part \`${part}\``);
  }
}
