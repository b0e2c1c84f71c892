/** What the replica holds. */
import { jsonOf } from './json-text.ts';
import type { Route } from './route-table.ts';

export const statusRoute: Route = {
  method: 'GET',
  path: '/v1/status',
  query: [],
  handle: ({ replica }) => ({ status: 200, body: jsonOf(replica.status()) }),
};
