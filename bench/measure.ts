/** Numbers out of repeated runs. Times are milliseconds. */

export function median(times: readonly number[]): number {
  return percentile(times, 50);
}

/** The smallest time that at least `share` percent of the times do not exceed. */
export function percentile(times: readonly number[], share: number): number {
  if (times.length === 0) throw new Error('no times');
  const sorted = times.toSorted((a, b) => a - b);
  const index = Math.max(0, Math.ceil((share / 100) * sorted.length) - 1);
  return sorted[index] as number;
}

export function timed<T>(work: () => T): { readonly ms: number; readonly result: T } {
  const start = performance.now();
  const result = work();
  return { ms: performance.now() - start, result };
}

export async function timedAsync<T>(
  work: () => Promise<T>,
): Promise<{ readonly ms: number; readonly result: T }> {
  const start = performance.now();
  const result = await work();
  return { ms: performance.now() - start, result };
}

/** The same with the time of all threads of the process on a processor. */
export async function clockedAsync<T>(
  work: () => Promise<T>,
): Promise<{ readonly wallMs: number; readonly cpuMs: number; readonly result: T }> {
  const before = process.cpuUsage();
  const { ms, result } = await timedAsync(work);
  const { user, system } = process.cpuUsage(before);
  return { wallMs: ms, cpuMs: (user + system) / 1000, result };
}

/** `1234567` → `1.23 M`. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)} M`;
  if (count >= 1e4) return `${(count / 1e3).toFixed(1)} k`;
  return Number.isInteger(count) ? String(count) : count.toFixed(count < 10 ? 2 : 1);
}

/** `0.0123` → `12.3 µs`, `0.000123` → `123 ns`. */
export function formatMs(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  if (ms >= 1) return `${ms.toFixed(1)} ms`;
  if (ms >= 0.001 || ms === 0) return `${(ms * 1000).toFixed(1)} µs`;
  return `${(ms * 1e6).toFixed(ms < 1e-4 ? 1 : 0)} ns`;
}
