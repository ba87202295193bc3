// The result of one recording: its picture, its syllables, what else it may have been, and what can be downloaded.

import { FORMATS } from "./formats.js";
import { Picture } from "./picture.js";
import { play } from "./player.js";
import { many, say, translate } from "./words.js";

/** Pixels that a second gets at least, so that syllables can be read. */
const LEAST_PER_SECOND = 150;
/** Below this a syllable is marked as a guess. */
const UNSURE = 0.5;
/** So many syllables are shown in large type. */
const MANY = 60;

export class Card {
  /**
   * @param heard what was heard, as `server.js` and `local.js` say it, and its `name`.
   * @param wave the samples (N,) at 16 kHz; null where this browser cannot read the file.
   * @param how the key of a sentence about the other readings.
   */
  constructor(heard, wave, how) {
    this.heard = heard;
    this.wave = wave;
    this.how = how;
    this.element = document.getElementById("result").content.firstElementChild.cloneNode(true);
    this.picture = wave ? new Picture(this.find("canvas"), wave) : null;
    this.chips = heard.syllables.map((one, index) => this.chip(one, index));
    this.find(".syllables").append(...this.chips);
    if (this.chips.length) this.chips[0].tabIndex = 0;
    this.fill();
    this.wire();
  }

  find(selector) { return this.element.querySelector(selector); }

  /** Everything that is made of words; called again when the language changes. */
  fill() {
    const { heard } = this;
    this.find("details").hidden = !heard.alternatives.length;
    this.find(".scroller").hidden = this.find(".play").hidden = !this.wave;
    this.find(".missing").hidden = Boolean(this.wave);
    this.find(".keys").hidden = this.find(".legend").hidden = !this.wave || !heard.syllables.length;
    this.find(".name").textContent = heard.file;
    this.find(".facts").textContent = this.facts().join(" · ");
    this.find(".sentence").replaceChildren(...this.sentence());
    this.find(".sentence").classList.toggle("long", heard.syllables.length > MANY);
    this.find(".otherwise").hidden = !heard.characters || this.spelt;
    this.find(".syllables").classList.toggle("spelt", this.spelt);
    this.find(".syllables").ariaLabel = say("syllables_of", { name: heard.file });
    this.chips.forEach((chip, index) => (chip.ariaLabel = this.label(heard.syllables[index])));
    this.find("tbody").replaceChildren(...heard.alternatives.map(one => this.alternative(one)));
    this.find(".others_how").textContent = say(this.how);
    this.find(".downloads").replaceChildren(this.find(".downloads").firstElementChild, ...this.downloads());
    translate(this.element);
    if (this.selected !== undefined) this.select(this.selected);
    this.find(".play span").textContent = say(this.stop ? "pause" : "play");
  }

  /** Whether there are characters of the syllables, and not only a text that may spell another reading. */
  get spelt() { return this.heard.syllables.some(one => one.characters); }

  facts() {
    const { seconds, syllables } = this.heard;
    const known = [say("seconds", { n: seconds.toFixed(1) }), many(syllables.length)];
    const mean = syllables.reduce((sum, one) => sum + one.confidence / syllables.length, 0);
    return syllables.length ? [...known, say("sure", { n: percent(mean) })] : known;
  }

  sentence() {
    const { syllables, characters } = this.heard;
    if (!syllables.length) return [element("span", "soft", say("nothing"))];
    if (characters && !this.spelt) return [characters];
    return syllables.map(one => {
      const kind = one.characters ? "unit character" : "unit", guess = one.confidence < UNSURE ? " guess" : "";
      return element("span", kind + guess, ...(one.characters ? [one.characters] : written(one.text)));
    });
  }

  label({ text, characters, start, end, confidence }) {
    const spoken = characters ? `${text} ${characters}` : text;
    return say("one_syllable", { text: spoken, start: start.toFixed(2), end: end.toFixed(2), n: percent(confidence) });
  }

  /** A syllable as a button that covers its time in the picture. */
  chip(one, index) {
    const chip = element("button", one.confidence < UNSURE ? "chip guess" : "chip");
    chip.type = "button";
    chip.tabIndex = -1;
    chip.style.setProperty("--sure", one.confidence.toFixed(3));
    const label = element("span", "label");
    label.append(element("span", "unit", ...written(one.text)));
    if (one.characters) label.append(element("span", "character", one.characters));
    chip.append(element("i", "shade"), label);
    chip.onclick = () => this.hear(index);
    chip.onfocus = () => this.select(index);
    return chip;
  }

  /** A row of the table; shares are those of all that are known. */
  alternative({ text, score }) {
    const all = [this.heard, ...this.heard.alternatives].reduce((sum, one) => sum + Math.exp(one.score - score), 0);
    const row = element("tr", ""), words = element("td", ""), units = text.split(" ").filter(Boolean);
    const [first, last] = changed(units, this.heard.syllables.map(one => one.text));
    units.forEach((unit, at) => words.append(
      element("span", at >= first && at < last ? "unit other" : "unit", ...written(unit)), " "));
    row.append(words, element("td", "n", fine(1 / all)));
    return row;
  }

  downloads() {
    return Object.keys(FORMATS).map(format => {
      const button = element("button", "quiet", say(format));
      button.type = "button";
      button.onclick = () => download(`${this.heard.name}.${format}`, FORMATS[format](this.heard));
      return button;
    });
  }

  wire() {
    this.find(".play").onclick = () => this.toggle();
    this.find(".close").onclick = () => this.remove();
    this.find(".syllables").onkeydown = event => this.key(event);
    if (!this.wave) return;
    const scroller = this.find(".scroller");
    this.find("canvas").onclick = ({ offsetX }) => this.playFrom((scroller.scrollLeft + offsetX) / this.perSecond);
    scroller.onscroll = () => this.later();
    this.resized = new ResizeObserver(() => this.layOut());
    this.resized.observe(scroller);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.onchange = () => this.later();
  }

  remove() {
    this.stop?.();
    this.resized?.disconnect();
    this.element.dispatchEvent(new Event("removed"));
    this.element.remove();
  }

  /** Arrows, Home and End move from syllable to syllable; space and Enter are the button's own. */
  key(event) {
    const last = this.chips.length - 1, here = this.chips.indexOf(document.activeElement);
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.chips[Math.max(0, Math.min(last, next))].focus();
  }

  /** Says below the picture what is known about a syllable. */
  select(index) {
    this.chips[this.selected ?? 0].tabIndex = -1;
    this.chips[index].tabIndex = 0;
    this.selected = index;
    const one = this.heard.syllables[index], detail = this.find(".detail");
    const place = say("from_to", { start: one.start.toFixed(2), end: one.end.toFixed(2) });
    const known = [one.characters, `${percent(one.confidence)} %`, place].filter(Boolean).join(" · ");
    const parts = [element("b", "unit", ...written(one.text)), ` · ${known}`];
    const others = one.others.filter(other => other.confidence >= 0.005);
    others.forEach((other, at) => parts.push(at ? ", " : ` · ${say("instead")} `,
      element("span", "unit", ...written(other.text)), ` ${percent(other.confidence)} %`));
    detail.replaceChildren(...parts);
  }

  hear(index) {
    const { start, end } = this.heard.syllables[index];
    this.select(index);
    if (this.wave) this.play(start, end);
  }

  /** Plays the whole, or stops what plays. */
  toggle() {
    if (this.stop) this.stop();
    else this.playFrom(0);
  }

  playFrom(second) { this.play(second, this.wave.length / 16000); }

  play(from, to) {
    this.stop?.();
    this.stop = play(this.wave, from, to, second => {
      if (second === null) this.rest();
      else this.follow(second);
    });
    this.find(".play span").textContent = say("pause");
  }

  /** What is seen when nothing plays. */
  rest() {
    this.stop = null;
    this.find(".cursor").hidden = true;
    this.mark(-1);
    this.find(".play span").textContent = say("play");
  }

  /** Shows which syllable is heard just now. */
  mark(index) {
    if (index === this.now) return;
    this.chips[this.now]?.classList.remove("now");
    this.chips[index]?.classList.add("now");
    this.now = index;
  }

  /** Moves the line to a second, and the picture with it where it would leave what is seen. */
  follow(second) {
    const scroller = this.find(".scroller"), cursor = this.find(".cursor"), x = second * this.perSecond;
    this.mark(this.heard.syllables.findIndex(({ start, end }) => start <= second && second < end));
    cursor.hidden = false;
    cursor.style.transform = `translateX(${x}px)`;
    if (x < scroller.scrollLeft || x > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = x - 20;
  }

  /** Gives each second its pixels, and each syllable its place; where a row of labels is full, below it. */
  layOut() {
    const width = this.find(".scroller").clientWidth, seconds = this.wave.length / 16000;
    if (!width) return;
    this.perSecond = Math.max(LEAST_PER_SECOND, width / seconds);
    this.find(".track").style.width = `${Math.max(width, seconds * this.perSecond)}px`;
    const ends = [-Infinity, -Infinity];
    this.chips.forEach((chip, index) => {
      const { start, end } = this.heard.syllables[index], label = chip.querySelector(".label");
      chip.style.left = `${start * this.perSecond}px`;
      chip.style.width = `${Math.max(2, (end - start) * this.perSecond)}px`;
      const middle = ((start + end) / 2) * this.perSecond, half = label.offsetWidth / 2;
      const row = middle - half >= ends[0] ? 0 : 1;
      ends[row] = middle + half;
      chip.classList.toggle("low", row === 1);
    });
    this.find(".syllables").classList.toggle("two", ends[1] > 0);
    this.draw();
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  draw() {
    const scroller = this.find(".scroller");
    this.picture.draw(scroller.scrollLeft / this.perSecond, this.perSecond, scroller.clientWidth);
  }
}

/** A share in percent, as a whole number; only what is certain is 100. */
const percent = share => Math.min(Math.round(100 * share), share < 1 ? 99 : 100);
/** The same of a share that may be very small. */
const fine = share => (share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);
/** From where to where some units differ from others: what both begin and end with is the same. */
function changed(units, others) {
  const most = Math.min(units.length, others.length);
  let first = 0, same = 0;
  while (first < most && units[first] === others[first]) first++;
  while (same < most - first && units.at(-1 - same) === others.at(-1 - same)) same++;
  return [first, units.length - same];
}

/** A unit with its tone set smaller. */
function written(unit) {
  const parts = /^([a-zv]+)([1-5])$/.exec(unit);
  return parts ? [parts[1], element("span", "tone", parts[2])] : [unit];
}

function element(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
