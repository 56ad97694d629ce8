// What the program says in English, in the language of the page: as sync_client/speaking.py does it for the tray.

const FIGURES = { count: "[\\d.,]+", size: "[\\d.,]+(?: ?[kMGT]?B)?" };
const LOOKED_UP = ["why", "said"];
const MOST_CHARACTERS = 2_000;
const NAME = /\{(\w+)\}/g;

let whole = null; // until a language has sentences of its own
let parts = null;
const known = new Map();

export async function learnSentences(language) {
  const answer = await fetch(`sentences/${language}.json`, { credentials: "omit" });
  const catalogue = await answer.json();
  whole = table(catalogue.sentences);
  parts = table(catalogue.parts);
  known.clear();
}

// The same in this language; null: there is none.
export function translated(text) {
  if (!whole || text.length > MOST_CHARACTERS) return null;
  if (!known.has(text)) {
    if (known.size > 5_000) known.clear();
    known.set(text, find(text));
  }
  return known.get(text);
}

function table(sentences) {
  const exact = new Map();
  const patterns = [];
  for (const [key, said] of Object.entries(sentences)) {
    if (!key.includes("{")) exact.set(key, said);
    else patterns.push({ literal: key.replace(NAME, "").length, pattern: new RegExp(`^${shape(key)}$`, "su"), said });
  }
  patterns.sort((one, other) => other.literal - one.literal);
  return { exact, patterns };
}

function shape(key) {
  return key.split(NAME).map((piece, at) => {
    if (at % 2 === 0) return piece.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    const start = Object.keys(FIGURES).find((one) => piece.startsWith(one));
    return `(?<${piece}>${start ? FIGURES[start] : ".+?"})`;
  }).join("");
}

// What happened and what to do about it stand in two sentences of the catalogue, else in one.
function find(text) {
  for (let at = text.indexOf(". "); at >= 0; at = text.indexOf(". ", at + 1)) {
    const first = match(whole, text.slice(0, at));
    const rest = first === null ? null : find(text.slice(at + 2));
    if (rest !== null) return `${first}. ${rest}`;
  }
  return match(whole, text);
}

function match({ exact, patterns }, text) {
  if (exact.has(text)) return exact.get(text);
  for (const { pattern, said } of patterns) {
    const found = pattern.exec(text);
    if (found) return said.replace(NAME, (_, name) => filled(name, found.groups[name]));
  }
  return null;
}

function filled(name, value) {
  if (LOOKED_UP.includes(name)) return match(parts, value) ?? find(value) ?? value;
  if (!Object.keys(FIGURES).some((start) => name.startsWith(start))) return value;
  return value.replace(/[.,]/g, (sign) => (sign === "," ? "." : ","));
}
