// What this computer synced last, day by day.

import { ask, Refusal } from "./asking.js";
import { button, fill, h, picture } from "./dom.js";
import { clock, day, folderOf, has, nameOf, placeOf, shown, size, t, troubleWords } from "./words.js";

const STEP = 50;
const MOST = 500;
const AGAIN_MS = 4_000;
const GROUPED = 4; // changes of one kind in one folder by one person, from so many on

export class Activity {
  constructor(page) {
    this.page = page;
    this.limit = STEP;
    this.asked = 0;
    this.opened = new Set();
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.list = h("div", {});
    this.place = h("div", {}, h("h1", {}, t("part.activity")), h("p", { class: "hint" }, t("activity.about")), this.wrong, this.list);
  }

  update({ status }) {
    if (!status.running) {
      fill(this.list, ["stopped"], () => h("p", { class: "card empty" }, t("home.not_running")));
      return;
    }
    if (Date.now() - this.asked > AGAIN_MS) this.load();
  }

  async load() {
    this.asked = Date.now();
    try {
      const changes = await ask("activity", { limit: this.limit });
      this.wrong.textContent = "";
      fill(this.list, [changes, this.limit], () => this.days(changes));
    } catch (error) {
      if (!(error instanceof Refusal)) return; // the page has ended: it says so itself
      this.wrong.textContent = troubleWords(error);
    }
  }

  days(changes) {
    if (!changes.length) return [h("div", { class: "card empty" }, picture("activity", "large"), h("p", {}, t("activity.empty")))];
    const days = new Map();
    for (const one of changes) {
      const key = day(one.at);
      if (!days.has(key)) days.set(key, []);
      days.get(key).push(one);
    }
    const shownDays = [...days].map(([title, those]) => [h("h2", {}, title), h("ul", { class: "card changes" }, ...runs(those).map((run) => (run.length < GROUPED ? run.map((one) => this.change(one)) : this.group(run))))]);
    const more = changes.length >= this.limit && this.limit < MOST ? button(t("activity.more"), () => {
      this.limit = Math.min(MOST, this.limit + STEP);
      this.load();
    }, { "data-key": "more" }) : null;
    return [...shownDays, more];
  }

  // Much of one kind in one folder is one line; who wants to opens it.
  group(run) {
    const [one] = run;
    const folder = folderOf(one.path);
    const bytes = run.reduce((sum, each) => sum + each.bytes, 0);
    const key = `${run[run.length - 1].at}${folder}`;
    const lines = h("details", { open: this.opened.has(key), on: { toggle: () => (lines.open ? this.opened.add(key) : this.opened.delete(key)) } },
      h("summary", { "data-key": key }, h("span", { class: "name" }, t("files", { count: run.length })), h("span", { class: "hint path" }, placeOf(folder))),
      h("ul", {}, ...run.map((each) => h("li", {}, this.name(each), h("span", { class: "hint tabular" }, [each.bytes ? size(each.bytes) : "", clock(each.at)].filter(Boolean).join(" · "))))));
    return h("li", {}, arrow(one), h("div", { class: "words" }, lines), ending(one, bytes));
  }

  change(one) {
    return h("li", {}, arrow(one), h("div", { class: "words" }, this.name(one), h("p", { class: "hint path" }, placeOf(folderOf(one.path)))), ending(one, one.bytes, versionsOf(one)));
  }

  name(one) {
    return h("button", { type: "button", class: "link name", "data-key": `${one.at}${one.path}`, on: { click: () => this.open(one.path) } }, nameOf(one.path));
  }

  async open(path) {
    this.wrong.textContent = "";
    try {
      await ask("show", { path });
    } catch (error) {
      if (error instanceof Refusal) this.wrong.textContent = troubleWords(error);
    }
  }
}

// Changes beside each other that are of one kind, one folder and one person.
function runs(changes) {
  const found = [];
  let last = "";
  for (const one of changes) {
    const kind = [one.action, one.direction, one.user, one.device, folderOf(one.path)].join("\n");
    if (kind === last) found[found.length - 1].push(one);
    else found.push([one]);
    last = kind;
  }
  return found;
}

function arrow(one) {
  return picture(one.direction === "up" ? "up" : "down", "arrow");
}

// Only of what has been replaced may somebody want to have back what it was.
function versionsOf(one) {
  if (one.action !== "changed") return null;
  return h("a", { class: "hint", href: `#/versions/${encodeURIComponent(one.path)}`, "aria-label": t("activity.versions_of", { name: nameOf(one.path) }), "data-key": `versions ${one.at}${one.path}` }, t("activity.versions"));
}

function ending(one, bytes, more = null) {
  const key = `activity.${one.action}.${one.direction}`;
  return h("div", { class: "end" }, h("span", {}, has(key) ? t(key) : one.action), one.user ? h("span", { class: "hint" }, authorWords(one)) : null, h("span", { class: "hint tabular" }, [bytes ? size(bytes) : "", clock(one.at)].filter(Boolean).join(" · ")), more);
}

export function authorWords(one) {
  return one.you ? t("activity.you", { device: shown(one.device) }) : t("activity.by", { user: shown(one.user), device: shown(one.device) });
}
