/** Health for supervisors and load balancers: alive apart from ready. */
import { jsonOf } from './json-text.ts';
import type { Route } from './route-table.ts';

/** Answers as long as the process runs its event loop; says nothing about the data. */
export const liveRoute: Route = {
  method: 'GET',
  path: '/healthz/live',
  query: [],
  handle: () => ({ status: 200, body: jsonOf({ live: true }) }),
};

/** 200 when requests may be sent here, else 503 with the reasons. */
export const readyRoute: Route = {
  method: 'GET',
  path: '/healthz/ready',
  query: [],
  handle({ replica, isDraining }) {
    const { phase, ready: replicaIsReady, revision, sources } = replica.status();
    const reasons: string[] = [];
    if (isDraining()) reasons.push('the server is draining');
    if (!replicaIsReady) reasons.push(`the replica is ${phase}`);
    const ready = reasons.length === 0;
    const staleness = sources.map(({ name, stale }) => ({ name, stale }));
    return {
      status: ready ? 200 : 503,
      body: jsonOf({ ready, phase, reasons, revision, sources: staleness }),
    };
  },
};
