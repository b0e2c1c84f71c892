/**
 * Frames from clients: JSON text → one of a closed set of types, every member checked. See
 * docs/PROTOCOL.md.
 */
import type { CaucusError } from '../errors.ts';
import { FRAME_ID_CHARS_MAX } from '../limits.ts';
import type { Consistency, ExplainRequest, WhyNotRequest } from '../replica/replica.ts';
import type { Mode } from '../subscriptions/outbox.ts';
import { parseJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import { EXPLAIN_MEMBERS, explainRequestOf, WHY_NOT_MEMBERS, whyNotRequestOf } from './explain.ts';
import {
  invalid,
  objectOf,
  optionalCount,
  optionalString,
  queryOptionsOf,
  stringOf,
} from './request-fields.ts';

/** A query by its text or by the name of a prepared one with arguments. */
export interface QueryText {
  readonly query?: string;
  readonly prepared?: string;
  readonly args: JsonObject;
  readonly policy?: string;
}

export interface HelloFrame {
  readonly type: 'hello';
  readonly proto: readonly bigint[];
  /** Bytes; undefined: no credit is counted. */
  readonly credit: number | undefined;
}
export interface QueryFrame extends QueryText {
  readonly type: 'query';
  readonly id: string;
  readonly options: { consistency?: Consistency; rowsMax?: number; waitMs?: number };
}
export interface PrepareFrame {
  readonly type: 'prepare';
  readonly id: string;
  readonly query: string;
  readonly policy: string | undefined;
}
export interface UnprepareFrame {
  readonly type: 'unprepare';
  readonly id: string;
  readonly prepared: string;
}
export interface BatchItem extends QueryText {
  readonly key: string;
}
export interface BatchFrame {
  readonly type: 'batch';
  readonly id: string;
  readonly items: readonly BatchItem[];
  readonly options: { consistency?: Consistency; rowsMax?: number; waitMs?: number };
}
export interface ExplainFrame {
  readonly type: 'explain';
  readonly id: string;
  readonly request: ExplainRequest;
}
export interface WhyNotFrame {
  readonly type: 'whyNot';
  readonly id: string;
  readonly request: WhyNotRequest;
}
export interface SubItem extends QueryText {
  readonly id: string;
  readonly from?: string;
  readonly mode: Mode;
}
export interface SubsFrame {
  readonly type: 'subs';
  readonly add: readonly SubItem[];
  readonly remove: readonly string[];
}
export interface CreditFrame {
  readonly type: 'credit';
  readonly bytes: number;
}
export type ClientFrame =
  | HelloFrame
  | QueryFrame
  | PrepareFrame
  | UnprepareFrame
  | BatchFrame
  | ExplainFrame
  | WhyNotFrame
  | SubsFrame
  | CreditFrame;

export interface FrameLimits {
  readonly batchItemsMax: number;
  readonly subscriptionsMax: number;
}

/** A frame that cannot be understood, with the id that its sender waits on, where there is one. */
export interface BadFrame {
  readonly type: 'bad';
  readonly id: string | undefined;
  readonly error: CaucusError;
}

const QUERY_TEXT = ['query', 'prepared', 'args', 'policy'];
const OPTIONS = ['consistency', 'rowsMax', 'waitMs'];
const CREDIT_MAX = Number.MAX_SAFE_INTEGER;

type Decoder = (object: JsonObject, limits: FrameLimits) => ClientFrame;

const DECODERS: Readonly<Record<ClientFrame['type'], Decoder>> = {
  hello(object) {
    objectOf(object, 'hello', ['type', 'proto', 'credit']);
    const proto = object['proto'];
    if (!isArray(proto) || !proto.every((version) => typeof version === 'bigint')) {
      throw invalid('`proto` of hello is a list of versions', 'send `"proto": [1]`');
    }
    const credit = optionalCount(object, 'credit', 'hello', CREDIT_MAX, 0);
    return { type: 'hello', proto, credit };
  },
  query(object) {
    objectOf(object, 'query', ['type', 'id', ...QUERY_TEXT, ...OPTIONS]);
    const options = queryOptionsOf(object, 'query');
    return { type: 'query', id: idOf(object, 'query'), ...queryTextOf(object, 'query'), options };
  },
  prepare(object) {
    objectOf(object, 'prepare', ['type', 'id', 'query', 'policy']);
    return {
      type: 'prepare',
      id: idOf(object, 'prepare'),
      query: stringOf(object, 'query', 'prepare'),
      policy: optionalString(object, 'policy', 'prepare'),
    };
  },
  unprepare(object) {
    objectOf(object, 'unprepare', ['type', 'id', 'prepared']);
    const prepared = stringOf(object, 'prepared', 'unprepare');
    return { type: 'unprepare', id: idOf(object, 'unprepare'), prepared };
  },
  batch(object, { batchItemsMax }) {
    objectOf(object, 'batch', ['type', 'id', 'items', ...OPTIONS]);
    const id = idOf(object, 'batch');
    const items = listOf(object, 'items', 'batch', batchItemsMax).map((value): BatchItem => {
      const item = objectOf(value, 'an item', ['key', ...QUERY_TEXT]);
      return { key: idOf(item, 'an item', 'key'), ...queryTextOf(item, 'an item') };
    });
    if (items.length === 0) throw invalid('the batch has no items', 'send at least one');
    if (new Set(items.map(({ key }) => key)).size < items.length) {
      throw invalid('two items have the same `key`', 'give each item its own');
    }
    return { type: 'batch', id, items, options: queryOptionsOf(object, 'batch') };
  },
  explain(object) {
    objectOf(object, 'explain', ['type', 'id', ...EXPLAIN_MEMBERS]);
    const request = explainRequestOf(object, 'explain');
    return { type: 'explain', id: idOf(object, 'explain'), request };
  },
  whyNot(object) {
    objectOf(object, 'whyNot', ['type', 'id', ...WHY_NOT_MEMBERS]);
    const request = whyNotRequestOf(object, 'whyNot');
    return { type: 'whyNot', id: idOf(object, 'whyNot'), request };
  },
  subs(object, { subscriptionsMax }) {
    objectOf(object, 'subs', ['type', 'add', 'remove']);
    const add = listOf(object, 'add', 'subs', subscriptionsMax).map(subItemOf);
    const remove = listOf(object, 'remove', 'subs', subscriptionsMax).map((value) => {
      if (typeof value === 'string') return value;
      throw invalid('`remove` of subs is a list of ids', 'send ids of subscriptions');
    });
    if (add.length + remove.length === 0) {
      throw invalid('subs adds and removes nothing', 'send `add`, `remove` or both');
    }
    return { type: 'subs', add, remove };
  },
  credit(object) {
    objectOf(object, 'credit', ['type', 'bytes']);
    const bytes = optionalCount(object, 'bytes', 'credit', CREDIT_MAX);
    if (bytes === undefined) throw invalid('credit lacks `bytes`', 'send a number of bytes');
    return { type: 'credit', bytes };
  },
};

export function decodeFrame(bytes: Uint8Array, limits: FrameLimits): ClientFrame | BadFrame {
  let id: string | undefined;
  try {
    const value = parseJson(bytes);
    if (value === null || typeof value !== 'object' || isArray(value)) {
      throw invalid('a frame is an object', 'send `{"type": …}`');
    }
    const object = value;
    if (typeof object['id'] === 'string' && object['id'].length <= FRAME_ID_CHARS_MAX) {
      id = object['id'];
    }
    const type = stringOf(object, 'type', 'a frame');
    if (!Object.hasOwn(DECODERS, type)) {
      const known = Object.keys(DECODERS).map((name) => `\`${name}\``);
      throw invalid(`there is no frame type \`${type}\``, `the types are ${known.join(', ')}`);
    }
    return DECODERS[type as ClientFrame['type']](object, limits);
  } catch (error) {
    return { type: 'bad', id, error: error as CaucusError };
  }
}

function subItemOf(value: JsonValue): SubItem {
  const what = 'a subscription';
  const item = objectOf(value, what, ['id', 'from', 'mode', ...QUERY_TEXT]);
  const from = optionalString(item, 'from', what);
  const mode = item['mode'] ?? 'every';
  if (mode !== 'every' && mode !== 'latest') {
    throw invalid('`mode` of a subscription is none that there is', 'use `every` or `latest`');
  }
  const id = idOf(item, what);
  return { id, ...queryTextOf(item, what), ...(from === undefined ? {} : { from }), mode };
}

function queryTextOf(object: JsonObject, what: string): QueryText {
  const query = optionalString(object, 'query', what);
  const prepared = optionalString(object, 'prepared', what);
  const policy = optionalString(object, 'policy', what);
  const args = object['args'];
  if ((query === undefined) === (prepared === undefined)) {
    throw invalid(`${what} has either \`query\` or \`prepared\``, 'send exactly one of them');
  }
  if (args !== undefined && (args === null || typeof args !== 'object' || isArray(args))) {
    throw invalid(`\`args\` of ${what} is an object`, 'send `{"<parameter>": <constant>}`');
  }
  if (prepared !== undefined && policy !== undefined) {
    throw invalid(`${what} has a policy besides \`prepared\``, 'name it in `prepare`');
  }
  return {
    ...(query === undefined ? {} : { query }),
    ...(prepared === undefined ? {} : { prepared }),
    ...(policy === undefined ? {} : { policy }),
    args: args ?? {},
  };
}

function idOf(object: JsonObject, what: string, name = 'id'): string {
  const id = stringOf(object, name, what);
  if (id === '' || id.length > FRAME_ID_CHARS_MAX) {
    const message = `\`${name}\` of ${what} has 1 to ${FRAME_ID_CHARS_MAX} characters`;
    throw invalid(message, 'use for example a counter');
  }
  return id;
}

function listOf(
  object: JsonObject,
  name: string,
  what: string,
  countMax: number,
): readonly JsonValue[] {
  const value = object[name] ?? [];
  if (!isArray(value)) throw invalid(`\`${name}\` of ${what} is a list`, 'send `[…]`');
  if (value.length > countMax) {
    throw invalid(`\`${name}\` of ${what} has more than ${countMax} items`, 'send several frames');
  }
  return value;
}

function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
