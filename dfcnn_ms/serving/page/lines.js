// Where a long text is broken into lines of subtitles, as `dfcnn_ms.reporting.line_breaks`: at pauses, then into as few
// lines as possible, rather where the speaker waits a little, and none much shorter than the others.

const CHINESE = 16, LETTERS = 42;
const SECONDS = 6, PAUSE = 0.5, SHOWN = 1;
const AT_A_WAIT = 0.5, NEARLY_EMPTY = 0.4;

/** The lines of some syllables, each a list of them. */
export function linesOf(syllables) {
  const found = [];
  let first = 0;
  for (let place = 1; place <= syllables.length; place++) {
    if (place < syllables.length && wait(syllables, place) < PAUSE) continue;
    found.push(...broken(syllables, first, place));
    first = place;
  }
  return found;
}

/** When each line is shown, in seconds: a short one until it can be read, or the next one comes. */
export function shown(lines, seconds) {
  return lines.map((line, index) => {
    const { start } = line[0], next = lines[index + 1]?.[0].start ?? seconds;
    return { line, start, end: Math.max(line.at(-1).end, Math.min(start + SHOWN, next)) };
  });
}

const wait = (syllables, place) => syllables[place].start - syllables[place - 1].end;

/** The lines between two pauses that cost the least together, by dynamic programming. */
function broken(syllables, from, to) {
  const cost = new Map([[from, 0]]), before = new Map();
  for (let stop = from + 1; stop <= to; stop++) {
    for (const { first, full } of beginnings(syllables, from, stop)) {
      const here = cost.get(first) + costOf(syllables, first, full);
      if (cost.has(stop) && here >= cost.get(stop)) continue;
      cost.set(stop, here);
      before.set(stop, first);
    }
  }
  const lines = [];
  for (let stop = to; stop > from; stop = before.get(stop)) lines.unshift(syllables.slice(before.get(stop), stop));
  return lines;
}

/** Where a line may begin that ends before `stop`, and how full it is then. */
function beginnings(syllables, least, stop) {
  const found = [];
  let letters = -1, written = 0, known = true;
  for (let first = stop - 1; first >= least; first--) {
    const { text, characters, start } = syllables[first];
    letters += 1 + [...text].length;
    written += [...(characters ?? "")].length;
    known &&= Boolean(characters);
    const full = Math.max(known ? written / CHINESE : letters / LETTERS, (syllables[stop - 1].end - start) / SECONDS);
    if (full > 1 && first < stop - 1) break;
    found.push({ first, full });
  }
  return found;
}

function costOf(syllables, first, full) {
  const cost = 1 + NEARLY_EMPTY * (1 - Math.min(full, 1)) ** 2;
  return first ? cost - AT_A_WAIT * Math.min(1, wait(syllables, first) / PAUSE) : cost;
}
