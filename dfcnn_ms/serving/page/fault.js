/** Something the user can be told: a key of `words.js`, and what the other side said about it, if anything. */
export class Fault extends Error {
  constructor(key, said = "") {
    super(said ? `${key}: ${said}` : key);
    this.key = key;
    this.said = said;
  }
}
