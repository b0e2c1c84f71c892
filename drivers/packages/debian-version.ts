/**
 * Order of Debian version numbers, `[epoch:]upstream[-revision]`, as deb-version(7) defines it:
 * runs of non-digits compare with `~` before the end before letters before the rest, runs of digits
 * by value.
 */
export function compareDebianVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  return (
    left.epoch - right.epoch ||
    compareRuns(left.upstream, right.upstream) ||
    compareRuns(left.revision, right.revision)
  );
}

function parts(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  };
}

function compareRuns(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const difference = weight(a, i) - weight(b, j);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const left = digits(a, i);
    const right = digits(b, j);
    const difference = BigInt(left || '0') - BigInt(right || '0');
    if (difference !== 0n) return difference < 0n ? -1 : 1;
    i += left.length;
    j += right.length;
  }
  return 0;
}

function isDigit(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 48 && unit <= 57;
}

/** The end and a digit weigh the same: both end a run. */
function weight(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if (Number.isNaN(unit) || isDigit(text, at)) return 0;
  if (unit === 126) return -1;
  const letter = (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122);
  return letter ? unit : unit + 256;
}

function digits(text: string, from: number): string {
  let end = from;
  while (end < text.length && isDigit(text, end)) end++;
  return text.slice(from, end);
}
