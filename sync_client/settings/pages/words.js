// The words of the page, in the language of the person; numbers, sizes and times as that language writes them.

import { learnSentences, translated } from "./sentences.js";

const KEEPS = "language";
export const LANGUAGES = { en: "English", de: "Deutsch" };

let words = {};
let language = "en";
let plural = new Intl.PluralRules("en");

export function chosenLanguage() {
  const kept = localStorage.getItem(KEEPS);
  if (kept in LANGUAGES) return kept;
  for (const one of navigator.languages ?? [navigator.language]) {
    const short = one.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short;
  }
  return "en";
}

export async function speak(one) {
  const answer = await fetch(`strings/${one}.json`, { credentials: "omit" });
  words = await answer.json();
  language = one;
  if (one !== "en") await learnSentences(one);
  plural = new Intl.PluralRules(one);
  document.documentElement.lang = one;
}

export function keepLanguage(one) {
  localStorage.setItem(KEEPS, one);
}

export function currentLanguage() {
  return language;
}

// The regional form of the language where the browser says one: 1.204 in Germany, 1’204 in Switzerland.
function region() {
  return (navigator.languages ?? []).find((one) => one.toLowerCase().startsWith(language)) ?? language;
}

export function has(key) {
  return key in words;
}

// t("files", { count: 3 }): of a key with several forms the one for `count`; {name} is replaced.
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[plural.select(values.count ?? 0)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

export function number(value) {
  return new Intl.NumberFormat(region()).format(value);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function size(bytes) {
  let at = 0;
  let value = bytes;
  while (value >= 999.5 && at < UNITS.length - 1) {
    value /= 1000;
    at += 1;
  }
  const digits = at > 0 && value < 9.95 ? 1 : 0;
  return new Intl.NumberFormat(region(), { style: "unit", unit: UNITS[at], unitDisplay: at ? "short" : "long", maximumFractionDigits: digits }).format(value);
}

const SPANS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

// "5 minutes", "1.5 hours"
export function span(seconds) {
  const [unit, one] = SPANS.find(([, least]) => seconds >= least) ?? SPANS[SPANS.length - 1];
  return new Intl.NumberFormat(region(), { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 }).format(seconds / one);
}

export function moment(ms) {
  return new Intl.DateTimeFormat(region(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(ms));
}

export function clock(ms) {
  return new Intl.DateTimeFormat(region(), { timeStyle: "short" }).format(new Date(ms));
}

export function day(ms) {
  return new Intl.DateTimeFormat(region(), { dateStyle: "full" }).format(new Date(ms));
}

const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7], ["week", 5]];

// "in 2 hours", "3 minutes ago"
export function near(ms, now = Date.now()) {
  const form = new Intl.RelativeTimeFormat(region(), { numeric: "auto", style: "long" });
  let value = (ms - now) / 1000;
  if (Math.abs(value) < 5) return form.format(0, "second");
  for (const [unit, most] of STEPS) {
    if (Math.abs(value) < most) return form.format(Math.trunc(value), unit);
    value /= most;
  }
  return moment(ms);
}

// A name as it may be shown: what is not seen, or turns the direction of writing, is marked.
export function shown(name) {
  return name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
}

// Where a path is cut: names may hold a backslash, but on Windows.
function separator(path) {
  return /^([A-Za-z]:|\\\\)/.test(path) ? /[\\/]/ : /\//;
}

export function nameOf(path) {
  return shown(path.split(separator(path)).filter(Boolean).pop() ?? path);
}

export function folderOf(path) {
  const name = path.split(separator(path)).filter(Boolean).pop() ?? "";
  return path.slice(0, path.lastIndexOf(name)).replace(/(.)[\\/]$/, "$1");
}

let own = "";

// This person's own folder on this computer; it is written ~.
export function knowOwn(folder) {
  own = folder;
}

export function placeOf(path) {
  const inside = own && (path === own || (path.startsWith(own) && /[\\/]/.test(path[own.length])));
  return shown(inside ? `~${path.slice(own.length)}` : path);
}

// What went wrong: the program's own sentence in this language, else what its code means.
export function troubleWords(error) {
  const said = translated(error.message ?? "");
  if (said !== null) return shown(said);
  const key = `error.${error.code}`;
  return language !== "en" && has(key) ? t(key) : shown(error.message || t("error.internal"));
}

// A sentence of the program itself; where this language has none for it, it is marked as English for those who listen.
export function foreign(node, text) {
  const said = translated(text);
  if (language !== "en" && said === null) node.lang = "en";
  node.textContent = shown(said ?? text);
  return node;
}

// Whether the language of the page says it too.
export function speaks(text) {
  return translated(text) !== null;
}
