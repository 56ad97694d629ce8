// What this computer synced last, day by day.

import { ask, Refusal } from "./asking.js";
import { button, fill, h, picture } from "./dom.js";
import { clock, day, nameOf, shown, size, t, troubleWords } from "./words.js";

const STEP = 50;
const MOST = 500;
const AGAIN_MS = 4_000;

export class Activity {
  constructor(page) {
    this.page = page;
    this.limit = STEP;
    this.asked = 0;
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
    const shownDays = [...days].map(([title, those]) => [h("h2", {}, title), h("ul", { class: "card changes" }, ...those.map((one) => this.change(one)))]);
    const more = changes.length >= this.limit && this.limit < MOST ? button(t("activity.more"), () => {
      this.limit = Math.min(MOST, this.limit + STEP);
      this.load();
    }, { "data-key": "more" }) : null;
    return [...shownDays, more];
  }

  change(one) {
    const name = nameOf(one.path);
    const folder = shown(one.path.slice(0, Math.max(0, one.path.lastIndexOf("/"))));
    const words = t(`activity.${one.action}.${one.direction}`);
    const open = h("button", { type: "button", class: "link name", "data-key": `${one.at}${one.path}`, on: { click: () => this.open(one.path) } }, name);
    return h("li", {}, picture(one.direction === "up" ? "up" : "down", "arrow"), h("div", { class: "words" }, open, h("p", { class: "hint path" }, folder)), h("div", { class: "end" }, h("span", {}, words.startsWith("activity.") ? one.action : words), h("span", { class: "hint tabular" }, [one.bytes ? size(one.bytes) : "", clock(one.at)].filter(Boolean).join(" · "))));
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
