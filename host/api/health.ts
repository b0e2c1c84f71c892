/** Health for supervisors and load balancers: alive apart from ready. */
import { phaseText } from '../replica/replica-gate.ts';
import { jsonOf } from './json-text.ts';
import type { Route } from './route-table.ts';

/** Answers as long as the process runs its event loop; says nothing about the data. */
export const liveRoute: Route = {
  method: 'GET',
  path: '/healthz/live',
  query: [],
  whileStarting: true,
  handle: () => ({ status: 200, body: jsonOf({ live: true }) }),
};

/** 200 when requests may be sent here, else 503 with the reasons. Stale sources do not count. */
export const readyRoute: Route = {
  method: 'GET',
  path: '/healthz/ready',
  query: [],
  whileStarting: true,
  handle({ replica, isDraining }) {
    const status = replica.status();
    const { phase, ready: replicaIsReady, revision, progress } = status;
    const reasons: string[] = [];
    if (isDraining()) reasons.push('the server is draining');
    if (!replicaIsReady) reasons.push(`the replica is ${phaseText(status)}`);
    const ready = reasons.length === 0;
    const sources = status.sources.map(({ name, stale, state, freshAtMs, problems }) => {
      return { name, stale, state, freshAtMs, problems };
    });
    return {
      status: ready ? 200 : 503,
      body: jsonOf({ ready, phase, reasons, revision, progress, sources }),
    };
  },
};

/**
 * For load balancers: 404 while the server drains, so that they send nothing new here and leave
 * the open connections to end by themselves (HAProxy's `http-check disable-on-404`); else as
 * `ready`.
 */
export const balancerRoute: Route = {
  method: 'GET',
  path: '/healthz/balancer',
  query: [],
  whileStarting: true,
  handle({ replica, isDraining }) {
    const { phase, ready } = replica.status();
    const status = isDraining() || phase === 'draining' ? 404 : ready ? 200 : 503;
    return { status, body: jsonOf({ ready: status === 200, phase }) };
  },
};
