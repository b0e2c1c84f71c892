/** What is loaded: `load:item(name, group, number)`, half of whose strings are new. */
import type { Row } from '../../host/value/value.ts';

export const SOURCE = 'load';
export const ITEMS = 'item';
export const GROUPS = 1000;
/** The group of which a subscriber sees every row. */
export const WATCHED_TEAM = 'team 7';

/** Batches of as many rows have one of each group. */
export function itemRows(from: number, count: number): Row[] {
  return Array.from({ length: count }, (_, index) => itemRow(from + index));
}

export function itemRow(number: number): Row {
  return [`item ${number}`, `group ${number % GROUPS}`, BigInt(number)];
}

/** `load:team(group, team)`: each item joins one row of it. */
export function teamRows(): (readonly [group: string, team: string])[] {
  return Array.from({ length: GROUPS }, (_, index) => [`group ${index}`, `team ${index}`] as const);
}

export const JOIN_RULE = `of(item, team, n) :- load:item(item, g, n), load:team(g, team).\n`;
