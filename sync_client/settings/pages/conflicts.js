// Files that were edited on two sides: both versions beside each other, and what shall become of them.

import { Refusal, ask } from "./asking.js";
import { button, dialog, fill, h, picture, say } from "./dom.js";
import { tried } from "./trying.js";
import { folderOf, moment, nameOf, near, placeOf, shown, size, t, troubleWords } from "./words.js";

const AGAIN_MS = 15_000; // the authors are asked of the server

export class Conflicts {
  constructor(page) {
    this.page = page;
    this.count = -1;
    this.asked = 0;
    this.found = null;
    this.decided = [];
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.told = h("div", {});
    this.all = h("div", { class: "buttons all" });
    this.list = h("div", {});
    this.place = h("div", {}, h("h1", {}, t("part.conflicts")), h("p", { class: "hint" }, t("conflicts.about")), this.wrong, this.told, this.all, this.list);
  }

  update({ status }) {
    if (!status.running) {
      fill(this.list, ["stopped"], () => h("p", { class: "card empty" }, t("home.not_running")));
      return;
    }
    if (status.conflicts !== this.count || (status.conflicts && Date.now() - this.asked > AGAIN_MS)) {
      this.count = status.conflicts;
      this.load();
    }
  }

  async load() {
    this.asked = Date.now();
    try {
      this.show(await ask("conflicts"));
    } catch (error) {
      if (error instanceof Refusal) this.wrong.textContent = troubleWords(error);
    }
  }

  show(found) {
    this.found = found;
    fill(this.all, [found.length > 1], () => (found.length > 1 ? [h("span", {}, t("conflicts.all")), ...["mine", "theirs", "both"].map((keep) => button(t(`conflicts.keep_${keep}`), () => this.decideAll(keep), { "aria-label": t(`conflicts.all_${keep}`), "data-key": `all ${keep}` }))] : []));
    fill(this.list, found, () => {
      if (!found.length) return [h("div", { class: "card empty" }, picture("tick", "large"), h("p", {}, t("conflicts.none")))];
      return found.map((one) => this.card(one));
    });
  }

  card(conflict) {
    const { mine, theirs } = conflict;
    const newer = mine.mtime === theirs.mtime || mine.folder || theirs.folder ? "" : mine.mtime > theirs.mtime ? "mine" : "theirs";
    const title = h("h2", {}, nameOf(conflict.original));
    const folder = placeOf(folderOf(conflict.original));
    return h("section", { class: "card conflict", "aria-label": nameOf(conflict.original) },
      h("div", { class: "words" }, title, h("p", { class: "hint path" }, folder)),
      h("div", { class: "sides" },
        this.side("mine", mine, conflict.path, { newer: newer === "mine", differs: mine.size !== theirs.size }),
        this.side("theirs", theirs, conflict.original, { newer: newer === "theirs", differs: mine.size !== theirs.size })),
      h("div", { class: "buttons" }, ...["mine", "theirs", "both"].map((keep) => button(t(`conflicts.keep_${keep}`), () => this.decide(conflict, keep), { "data-key": `${conflict.id} ${keep}`, "aria-label": t(`conflicts.keep_${keep}_of`, { name: nameOf(conflict.original) }) }))));
  }

  // One version, with all that helps to tell which one is wanted.
  side(which, version, path, { newer }) {
    const facts = h("dl", {});
    const fact = (name, value) => value && facts.append(h("dt", {}, name), h("dd", {}, value));
    fact(t("conflicts.size"), version.folder ? t("conflicts.folder") : size(version.size));
    fact(t("conflicts.changed"), version.folder ? "" : moment(version.mtime));
    fact(t("conflicts.author"), version.user ? shown(version.user) : "");
    fact(t("conflicts.device"), version.device ? shown(version.device) : "");
    fact(t("conflicts.sent"), version.at ? near(version.at) : "");
    return h("div", { class: "side" },
      h("h3", {}, t(`conflicts.${which}`), newer ? h("span", { class: "chip" }, t("conflicts.newer")) : null),
      h("p", { class: "path" }, h("button", { type: "button", class: "link", "data-key": `show ${path}`, on: { click: () => this.act(() => ask("show", { path })) } }, nameOf(path))),
      facts);
  }

  act(what) {
    return tried(this.wrong, what);
  }

  async decide(conflict, keep) {
    const done = await this.act(() => ask("resolve", { id: conflict.id, keep }));
    if (done) this.tell([{ ...done[0], copy: conflict.path }]);
    await this.again();
  }

  async decideAll(keep) {
    const copies = Object.fromEntries(this.found.map((one) => [one.id, one.path]));
    const sure = await dialog(t("conflicts.sure", { count: this.found.length }), h("p", {}, t(`conflicts.sure_${keep}`)), [
      { words: t("cancel"), value: false },
      { words: t(`conflicts.keep_${keep}`), value: true, kind: "main" },
    ]);
    if (!sure) return;
    const done = await this.act(() => ask("resolve", { id: "", keep }));
    const decided = (done ?? []).filter((one) => !one.failed);
    const left = (done ?? []).filter((one) => one.failed);
    if (decided.length) this.tell(decided.map((one) => ({ ...one, copy: copies[one.id] })));
    await this.again();
    if (left.length) this.wrong.textContent = `${t("conflicts.left", { count: left.length, name: nameOf(left[0].original) })} ${left[0].words}`;
  }

  async again() {
    this.count = -1;
    await this.page.look();
    this.place.querySelector("h1").focus();
  }

  // What was decided, and the way back.
  tell(done) {
    const words = t(`conflicts.done_${done[0].keep}`, { count: done.length, name: nameOf(done[0].original) });
    const kept = done.filter((one) => one.trash);
    const line = h("div", { class: "card told" }, picture("tick"), h("p", {}, words));
    if (kept.length) line.append(button(t("conflicts.back"), () => this.bringBack(kept, line), { icon: "again" }));
    this.told.replaceChildren(line);
    say(words);
  }

  async bringBack(kept, line) {
    for (const one of kept) {
      const to = one.keep === "mine" ? one.copy : null; // its own place is taken
      const done = await this.act(() => ask("bring-back", { item: one.trash, to }));
      if (!done) return;
    }
    const words = t("conflicts.is_back", { count: kept.length });
    line.replaceChildren(picture("tick"), h("p", {}, words));
    say(words);
    await this.page.look();
  }
}
