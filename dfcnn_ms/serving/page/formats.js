// What was heard, as files: plain text, subtitles and JSON, as `dfcnn_ms.reporting` writes them.

import { linesOf, shown } from "./lines.js";

const text = syllables => syllables.map(one => one.text).join(" ");
const round = (number, digits) => Number(number.toFixed(digits));

/** The syllables on one line, and below them the Chinese text where it is known. */
export function txt(heard) {
  return `${text(heard.syllables)}\n` + (heard.characters ? `${heard.characters}\n` : "");
}

/** Subtitles: a cue for each line, in characters where they are known. */
export function srt(heard) {
  const lines = heard.lines?.map(one => [one]) ?? linesOf(heard.syllables);
  return shown(lines, heard.seconds).map(({ line, start, end }, index) => {
    const words = line.every(one => one.characters) ? line.map(one => one.characters).join("") : text(line);
    return `${index + 1}\n${clock(start)} --> ${clock(end)}\n${words}\n`;
  }).join("\n");
}

/** Everything that is known. */
export function json(heard) {
  const page = { name: heard.name, seconds: round(heard.seconds, 3), text: text(heard.syllables) };
  page.confidence = round(heard.confidence, 4);
  page.syllables = heard.syllables.map(one => ({
    text: one.text,
    ...(one.characters ? { characters: one.characters } : {}),
    start: round(one.start, 3), end: round(one.end, 3), score: round(one.confidence, 4),
  }));
  if (heard.characters) page.characters = { text: heard.characters };
  if (heard.alternatives.length) {
    page.alternatives = heard.alternatives.map(one => (
      { text: one.text, confidence: round(one.confidence, 4), score: round(one.score, 3) }));
  }
  return JSON.stringify(page, null, 2) + "\n";
}

export const FORMATS = { txt, srt, json };

function clock(seconds) {
  const all = Math.round(seconds * 1000), two = number => String(Math.floor(number)).padStart(2, "0");
  const rest = String(all % 1000).padStart(3, "0");
  return `${two(all / 3_600_000)}:${two((all / 60_000) % 60)}:${two((all / 1000) % 60)},${rest}`;
}
