// What waits for a person: mass changes and large folders to decide about, and items that cannot be synced, with what to do.

import { authorWords } from "./activity.js";
import { Refusal, ask } from "./asking.js";
import { button, dialog, fill, h, mark, picture, say } from "./dom.js";
import { LongList } from "./long_list.js";
import { tried } from "./trying.js";
import { currentLanguage, foreign, has, moment, nameOf, placeOf, shown, size, speaks, t, troubleWords } from "./words.js";

const SHOWN = 200; // of one folder

export class Problems {
  constructor(page) {
    this.page = page;
    this.opened = new Set();
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.guards = h("div", {});
    this.large = h("div", {});
    this.list = h("div", {});
    this.none = h("div", {});
    this.place = h("div", {}, h("h1", {}, t("part.problems")), this.wrong, this.guards, this.large, this.list, this.none);
  }

  update({ status, guards }) {
    const large = status.folders.flatMap((folder) => folder.problems.filter((one) => one.code === "large-folder").map((one) => ({ ...one, folder: folder.local })));
    const troubled = status.folders.map((folder) => ({ local: folder.local, state: folder.state, problems: folder.problems.filter((one) => !["guard", "large-folder"].includes(one.code)).map(({ next_try_seconds: _, ...one }) => one) })).filter((folder) => folder.problems.length);
    fill(this.guards, guards, () => guards.map((one) => this.guard(one)));
    fill(this.large, large, () => large.map((one) => this.largeFolder(one)));
    fill(this.list, troubled, () => this.folders(troubled));
    fill(this.none, [guards.length + large.length + troubled.length, status.running], () => {
      if (!status.running) return h("p", { class: "card empty" }, t("home.not_running"));
      if (guards.length + large.length + troubled.length) return [];
      return h("div", { class: "card empty" }, picture("tick", "large"), h("p", {}, t("problems.none")));
    });
  }

  async act(what, words) {
    const done = await tried(this.wrong, what, words);
    if (done !== null) await this.page.look();
    return done;
  }

  // ---- mass changes ----------------------------------------------------------------------------------------

  guard(guard) {
    const title = t(`guard.${guard.what}`, { count: guard.count });
    const share = guard.share === null ? "" : t("guard.share", { share: Math.round(guard.share * 100), total: guard.total });
    const key = `list ${guard.folder} ${guard.what}`;
    const sample = h("details", { class: "sample", open: this.opened.has(key), on: { toggle: () => this.toggled(sample, key, guard, title) } }, h("summary", { "data-key": key }, t("guard.list")));
    const decide = async (apply) => {
      const way = apply ? "apply" : "restore";
      const sure = await dialog(t(`guard.sure_${way}`, { count: guard.count }), h("p", {}, t(`guard.sure_${way}_about`)), [
        { words: t("cancel"), value: false },
        { words: t(`guard.${way}`), value: true, kind: "main" },
      ]);
      if (!sure) return;
      await this.act(() => ask("guard-decide", { folder: guard.folder, apply }), t(`guard.done_${way}`));
      this.place.querySelector("h1").focus();
    };
    return h("section", { class: "card guard", "aria-label": title },
      h("div", { class: "head" }, mark("attention"), h("div", { class: "words" }, h("h2", {}, title), h("p", {}, t("guard.where", { folder: nameOf(guard.folder) }), share ? ` ${share}` : ""), guard.since ? h("p", { class: "hint" }, moment(guard.since)) : null)),
      h("p", {}, t(`guard.${guard.what}.about`)), sample,
      h("div", { class: "buttons" }, button(t("guard.restore"), () => decide(false), { kind: "main", "data-key": `no ${guard.folder} ${guard.what}` }), button(t("guard.apply"), () => decide(true), { kind: "bad", "data-key": `yes ${guard.folder} ${guard.what}` }), button(t("open"), () => this.act(() => ask("show", { path: guard.folder })), { icon: "open" })));
  }

  // The whole list, once somebody wants to see it.
  async toggled(place, key, guard, title) {
    if (!place.open) {
      this.opened.delete(key);
      return;
    }
    this.opened.add(key);
    if (place.querySelector(".long-list")) return;
    const list = new LongList({
      label: title,
      load: (after) => ask("guard-list", { folder: guard.folder, what: guard.what, after }),
      text: (item) => item.path,
      line: (item) => [h("span", { class: "path" }, shown(item.path)), h("span", { class: "hint tabular" }, [item.size === null ? t("long_list.folder") : size(item.size), item.user ? authorWords(item) : ""].filter(Boolean).join(" · "))],
    });
    place.append(list.place);
    try {
      await list.begin();
    } catch (error) {
      if (error instanceof Refusal) list.told.textContent = troubleWords(error);
    }
  }

  // ---- large folders ---------------------------------------------------------------------------------------

  largeFolder(one) {
    const path = `${one.folder}/${one.path}`;
    const decide = (remove) => this.act(() => ask("exclude", { path, remove }), t(remove ? "large.comes" : one.grown ? "folders.goes" : "large.stays", { name: nameOf(one.path) }));
    return h("section", { class: "card guard" },
      h("div", { class: "head" }, mark("attention"), h("div", { class: "words" }, h("h2", {}, t("large.title", { name: nameOf(one.path) })), h("p", { class: "hint path" }, placeOf(path)), foreign(h("p", {}), currentLanguage() === "en" ? one.message.split(" Have it here")[0] : one.message))),
      h("div", { class: "buttons" }, button(t("large.take"), () => decide(true), { kind: "main", "data-key": `take ${path}` }), button(t("large.leave"), () => decide(false), { "data-key": `leave ${path}` })));
  }

  // ---- single items ----------------------------------------------------------------------------------------

  folders(troubled) {
    const again = button(t("problems.again"), async () => {
      again.disabled = true;
      const done = await this.act(() => ask("sync"));
      again.disabled = false;
      if (done) say(t(done.synced ? "state.synced" : done.goes_on ? "state.syncing" : "problems.still"));
    }, { icon: "again", "data-key": "again" });
    const count = troubled.reduce((sum, folder) => sum + folder.problems.length, 0);
    return [
      h("div", { class: "title-line" }, h("h2", {}, t("home.problems", { count })), again),
      ...troubled.map((folder) => [h("h3", { class: "group" }, nameOf(folder.local)), h("ul", { class: "card items" }, ...folder.problems.slice(0, SHOWN).map((one) => this.item(folder, one)), folder.problems.length > SHOWN ? h("li", { class: "hint" }, t("problems.more", { count: folder.problems.length - SHOWN })) : null)]),
    ];
  }

  item(folder, one) {
    const path = one.path ? `${folder.local}/${one.path}` : folder.local;
    const local = currentLanguage() !== "en" && !speaks(one.message) && has(`problem.${one.code}`) ? h("p", {}, t(`problem.${one.code}`)) : null;
    const words = foreign(h("p", { class: local ? "hint" : "" }), one.message);
    const tried = one.tries > 1 ? h("p", { class: "hint" }, t("problems.tries", { count: one.tries })) : null;
    return h("li", {}, picture("problems", "warn"), h("div", { class: "words" }, h("p", { class: "name" }, one.path ? nameOf(one.path) : nameOf(folder.local)), one.path.includes("/") ? h("p", { class: "hint path" }, shown(one.path)) : null, local, words, tried), button(t("open"), () => this.act(() => ask("show", { path })), { icon: "open", "aria-label": t("home.open", { name: nameOf(path) }), "data-key": `open ${path}` }));
  }
}

