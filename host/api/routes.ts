/** Every HTTP route. docs/PROTOCOL.md lists the same ones; a test compares. */
import { batchRoute } from './batches.ts';
import { checkpointRoute } from './cluster.ts';
import { balancerRoute, liveRoute, readyRoute } from './health.ts';
import {
  deletePolicyRoute,
  describePolicyRoute,
  listPoliciesRoute,
  putPolicyRoute,
  readPolicyRoute,
} from './policies.ts';
import { explainRoute, whyNotRoute } from './explain.ts';
import { queryRoute } from './query.ts';
import type { Route } from './route-table.ts';
import { statusRoute } from './status.ts';

/** The path of the WebSocket. */
export const SOCKET_PATH = '/v1/ws';

export const ROUTES: readonly Route[] = [
  liveRoute,
  readyRoute,
  balancerRoute,
  statusRoute,
  queryRoute,
  explainRoute,
  whyNotRoute,
  batchRoute,
  listPoliciesRoute,
  readPolicyRoute,
  describePolicyRoute,
  putPolicyRoute,
  deletePolicyRoute,
  checkpointRoute,
];
