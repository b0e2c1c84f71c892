/** The limits of the API as one value, so that a test can make them small. */
import * as limits from '../limits.ts';

export interface ApiLimits {
  readonly jsonBodyBytesMax: number;
  readonly ndjsonBodyBytesMax: number;
  readonly ndjsonLineBytesMax: number;
  readonly batchBytesMax: number;
  readonly headersMsMax: number;
  readonly bodyIdleMsMax: number;
  readonly bodyMsMax: number;
  readonly keepAliveMs: number;
  readonly connectionsMax: number;
  readonly drainMs: number;
  readonly answerPieceBytes: number;
  readonly frameBytesMax: number;
  readonly helloMsMax: number;
  readonly heartbeatMs: number;
  readonly heartbeatsMissedMax: number;
  readonly subscriptionsMax: number;
  readonly preparedMax: number;
  readonly batchItemsMax: number;
  readonly requestsInFlightMax: number;
  readonly badFramesMax: number;
  readonly socketBufferBytesMax: number;
  readonly backlogBytesMax: number;
  readonly snapshotBytesMax: number;
  readonly rowsFrameBytes: number;
}

export const API_LIMITS: ApiLimits = {
  jsonBodyBytesMax: limits.JSON_BODY_BYTES_MAX,
  ndjsonBodyBytesMax: limits.NDJSON_BODY_BYTES_MAX,
  ndjsonLineBytesMax: limits.NDJSON_LINE_BYTES_MAX,
  batchBytesMax: limits.BATCH_BYTES_MAX,
  headersMsMax: limits.HEADERS_MS_MAX,
  bodyIdleMsMax: limits.BODY_IDLE_MS_MAX,
  bodyMsMax: limits.BODY_MS_MAX,
  keepAliveMs: limits.KEEP_ALIVE_MS,
  connectionsMax: limits.CONNECTIONS_MAX,
  drainMs: limits.DRAIN_MS,
  answerPieceBytes: limits.ANSWER_PIECE_BYTES,
  frameBytesMax: limits.FRAME_BYTES_MAX,
  helloMsMax: limits.HELLO_MS_MAX,
  heartbeatMs: limits.HEARTBEAT_MS,
  heartbeatsMissedMax: limits.HEARTBEATS_MISSED_MAX,
  subscriptionsMax: limits.SUBSCRIPTIONS_MAX,
  preparedMax: limits.PREPARED_MAX,
  batchItemsMax: limits.BATCH_ITEMS_MAX,
  requestsInFlightMax: limits.REQUESTS_IN_FLIGHT_MAX,
  badFramesMax: limits.BAD_FRAMES_MAX,
  socketBufferBytesMax: limits.SOCKET_BUFFER_BYTES_MAX,
  backlogBytesMax: limits.BACKLOG_BYTES_MAX,
  snapshotBytesMax: limits.SNAPSHOT_BYTES_MAX,
  rowsFrameBytes: limits.ROWS_FRAME_BYTES,
};
