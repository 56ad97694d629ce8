// The versions of one file, and the way back to one of them.

import { ask } from "./asking.js";
import { button, fill, h, picture, say } from "./dom.js";
import { tried } from "./trying.js";
import { moment, nameOf, near, placeOf, shown, size, t } from "./words.js";

export class Versions {
  constructor(page, path) {
    this.page = page;
    this.path = path;
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.told = h("div", {});
    this.body = h("div", {}, h("p", { class: "hint" }, t("loading")));
    this.place = h("div", {}, h("h1", {}, t("versions.title", { name: nameOf(path) })), h("p", { class: "hint path" }, placeOf(path)), h("p", { class: "hint" }, t("versions.about")), this.wrong, this.told, this.body);
    this.load();
  }

  update() {}

  async load() {
    const found = await this.act(() => ask("versions", { path: this.path }));
    if (!found) {
      this.body.replaceChildren(button(t("again"), () => this.load(), { icon: "again" }));
      return;
    }
    fill(this.body, found.versions, () => {
      if (!found.versions.length) return [h("div", { class: "card empty" }, picture("file", "large"), h("p", {}, t("versions.none")))];
      return [h("ul", { class: "card items" }, ...found.versions.map((one) => this.line(one)))];
    });
  }

  act(what) {
    return tried(this.wrong, what);
  }

  line(one) {
    const by = [shown(one.user ?? ""), shown(one.device ?? "")].filter(Boolean).join(" · ");
    const name = h("p", { class: "name" }, moment(one.at), one.current ? h("span", { class: "chip" }, t("versions.current")) : null);
    const back = one.current ? null : button(t("versions.restore"), () => this.restore(one), { icon: "again", "aria-label": t("versions.restore_of", { day: moment(one.at) }), "data-key": `restore ${one.rev}` });
    return h("li", {}, picture("file"), h("div", { class: "words" }, name, h("p", { class: "hint tabular" }, [by, size(one.size), near(one.at)].filter(Boolean).join(" · "))), back);
  }

  // The one of now stays among the versions: undoing it is restoring that one.
  async restore(one) {
    const done = await this.act(() => ask("restore-version", { path: this.path, rev: one.rev }));
    if (!done) return;
    const words = t("versions.restored", { day: moment(one.at) });
    this.told.replaceChildren(h("div", { class: "card told" }, picture("tick"), h("p", {}, words)));
    say(words);
    this.body.shownFacts = "";
    await this.load();
    this.place.querySelector("h1").focus();
  }
}
