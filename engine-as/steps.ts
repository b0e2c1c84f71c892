/** Steps since the engine started: what a slice, a limit and a query are measured by. */
export let stepCount: u64 = 0;

/** A slice is as long as what it does, in runs of rules and outside of them. */
export function countSteps(steps: u32): void {
  stepCount += steps as u64;
}
