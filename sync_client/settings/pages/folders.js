// The followed folders: what of each is wanted on this computer, as a tree; adding one, and following one no more.

import { ask } from "./asking.js";
import { button, dialog, field, fill, h, mark, picture } from "./dom.js";
import { Tree } from "./tree.js";
import { tried } from "./trying.js";
import { nameOf, placeOf, shown, size, span, t, troubleWords } from "./words.js";

const SCANS = [60, 300, 900, 3_600, 21_600, 86_400]; // seconds

export class Folders {
  constructor(page) {
    this.page = page;
    this.opened = new Set();
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.list = h("div", {});
    const add = h("a", { href: "#/first", class: "button main" }, t("folders.add"));
    this.place = h("div", {}, h("div", { class: "title-line" }, h("h1", {}, t("part.folders")), add), h("p", { class: "hint" }, t("folders.about")), this.wrong, this.list);
  }

  update({ status }) {
    fill(this.list, [status.running, status.folders.map((one) => [one.local, one.state, one.scan])], () => {
      if (!status.running) return [h("p", { class: "card empty" }, t("home.not_running"))];
      if (!status.folders.length) return [h("p", { class: "card empty" }, t("home.no_folder"))];
      return status.folders.map((folder) => this.card(folder));
    });
  }

  act(what, words) {
    return tried(this.wrong, what, words);
  }

  card(folder) {
    const name = nameOf(folder.local);
    const known = this.cards?.get(folder.local);
    const content = known ?? this.content(folder, name);
    this.cards ??= new Map();
    this.cards.set(folder.local, content);
    return h("section", { class: "card followed", "aria-label": name },
      h("div", { class: "head" }, mark(folder.state), h("div", { class: "words" }, h("h2", {}, name), h("p", { class: "hint path" }, `${placeOf(folder.local)} · ${shown(folder.remote)}`)),
        h("div", { class: "buttons" }, button(t("open"), () => this.act(() => ask("show", { path: folder.local })), { icon: "open", "aria-label": t("home.open", { name }), "data-key": `open ${folder.local}` }), h("a", { class: "button", href: `#/sharing/${encodeURIComponent(folder.local)}`, "aria-label": t("folders.share_of", { name }), "data-key": `share ${folder.local}` }, picture("people"), h("span", {}, t("folders.share"))), button(t("folders.remove"), () => this.remove(folder, name), { "aria-label": t("folders.remove_of", { name }), "data-key": `remove ${folder.local}` }))),
      content, this.scanning(folder, name));
  }

  // How often all of it is looked at, whatever the system tells of changes.
  scanning(folder, name) {
    const { wished_seconds: wished, every_seconds: every, on_network: onNetwork } = folder.scan;
    const times = wished === null || SCANS.includes(wished) ? SCANS : [...SCANS, wished].sort((one, other) => one - other);
    const words = (seconds) => (SCANS.includes(seconds) ? t(`scan.${seconds}`) : t("scan.every", { time: span(seconds) }));
    const choice = h("select", { "data-key": `scan ${folder.local}`, on: { change: async () => {
      const seconds = choice.value ? Number(choice.value) : null;
      const done = await this.act(() => ask("scan", { folder: folder.local, seconds }), t("saved"));
      if (!done) choice.value = wished === null ? "" : String(wished);
      await this.page.look();
    } } }, h("option", { value: "" }, t("scan.usual")), ...times.map((seconds) => h("option", { value: String(seconds), selected: seconds === wished }, words(seconds))));
    const slow = wished !== null && every > wished ? t("scan.slow", { time: span(every) }) : "";
    const hint = [t(onNetwork ? "scan.on_network" : "scan.about"), wished === null ? t("scan.now", { time: span(every) }) : slow].filter(Boolean).join(" ");
    return h("details", { class: "choose", open: this.opened.has(folder.local), on: { toggle: (event) => (event.currentTarget.open ? this.opened.add(folder.local) : this.opened.delete(folder.local)) } },
      h("summary", { "data-key": `scanning ${folder.local}`, "aria-label": t("scan.title_of", { name }) }, t("scan.title")), field(t("scan.label"), choice, { hint }));
  }

  content(folder, name) {
    const tree = new Tree({
      label: t("folders.tree", { name }),
      load: (item) => ask("followed", { folder: folder.local, path: item.path, node: item.node }).then(withLeaves),
      state: (item) => (item.under ? "fixed" : String(!item.excluded)),
      toggle: (item) => this.choose(folder, item, tree),
      words: (item) => [item.excluded || item.under ? t("folders.not_here") : "", item.size === null || item.size === undefined ? "" : size(item.size)].filter(Boolean).join(" · "),
      wrong: (error) => { this.wrong.textContent = troubleWords(error); },
    });
    const lines = h("details", { class: "choose", on: { toggle: async () => {
      if (!lines.open || tree.lines.length) return;
      const found = await this.act(() => ask("followed", { folder: folder.local, path: "", node: "" }));
      if (!found) return;
      tree.show(withLeaves(found).items);
      if (!found.items.length) lines.append(h("p", { class: "hint" }, t("folders.empty")));
    } } }, h("summary", { "data-key": `choose ${folder.local}` }, t("folders.choose")), tree.place);
    return lines;
  }

  // A tick was set or taken away: it counts at once, and what cannot be done is said and shown as it was.
  async choose(folder, item, tree) {
    const remove = item.excluded;
    item.excluded = !remove;
    const done = await this.act(() => ask("exclude", { path: `${folder.local}/${item.path}`, remove }), t(remove ? "large.comes" : "folders.goes", { name: shown(item.name) }));
    if (!done) item.excluded = remove;
    tree.forEach((line) => {
      if (line.item.path.startsWith(`${item.path}/`)) line.item.under = item.excluded;
    });
    tree.refresh();
  }

  async remove(folder, name) {
    const sure = await dialog(t("folders.sure", { name }), h("p", {}, t("folders.sure_about")), [
      { words: t("cancel"), value: false },
      { words: t("folders.remove"), value: true, kind: "main" },
    ]);
    if (!sure) return;
    await this.act(() => ask("remove", { local: folder.local }), t("folders.removed", { name }));
    await this.page.look();
    this.place.querySelector("h1").focus();
  }
}

function withLeaves({ items, more }) {
  return { items: items.map((item) => ({ ...item, picture: item.kind, leaf: item.kind === "file" || item.excluded })), more };
}
