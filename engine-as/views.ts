/*
 * Which rows a step sees: those whose flags, under a mask, have a value. READ is what readers see:
 * OLD until the commit point of a transaction, LIVE behind it.
 *
 *   SETTLED  LIVE and not pending: all rows of earlier rounds and of this one's start
 *   STABLE   LIVE, not pending, not recent: rows of earlier rounds only
 */
import {
  ROW_BASE,
  ROW_LIVE,
  ROW_OLD,
  ROW_PENDING,
  ROW_RECENT,
  VIEW_BASE,
  VIEW_NEW,
  VIEW_OLD,
  VIEW_READ,
  VIEW_SETTLED,
  VIEW_STABLE,
  VIEWS,
} from './abi';

const table: u32 = memory.data(VIEWS * 8, 4) as u32;

function setView(view: u32, mask: u32, value: u32): void {
  store<u32>(table + (view << 3), mask);
  store<u32>(table + (view << 3), value, 4);
}

export function initViews(): void {
  setView(VIEW_READ, ROW_OLD, ROW_OLD);
  setView(VIEW_OLD, ROW_OLD, ROW_OLD);
  setView(VIEW_NEW, ROW_LIVE, ROW_LIVE);
  setView(VIEW_SETTLED, ROW_LIVE | ROW_PENDING, ROW_LIVE);
  setView(VIEW_STABLE, ROW_LIVE | ROW_PENDING | ROW_RECENT, ROW_LIVE);
  setView(VIEW_BASE, ROW_OLD | ROW_BASE, ROW_OLD | ROW_BASE);
}

/**
 * Behind the commit point readers see LIVE rows while OLD flags are still being brought in line.
 */
export function showNew(): void {
  setView(VIEW_READ, ROW_LIVE, ROW_LIVE);
}

export function showOld(): void {
  setView(VIEW_READ, ROW_OLD, ROW_OLD);
}

export function viewMask(view: u32): u32 {
  return load<u32>(table + (view << 3));
}

export function viewValue(view: u32): u32 {
  return load<u32>(table + (view << 3), 4);
}

export function isVisible(meta: u32, view: u32): bool {
  return (meta & load<u32>(table + (view << 3))) == load<u32>(table + (view << 3), 4);
}
