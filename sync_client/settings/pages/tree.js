// A tree of folders with a tick for each, after the tree pattern of the ARIA practices; one level is fetched at a time.

import { h, picture, uid } from "./dom.js";
import { shown, t } from "./words.js";

export class Tree {
  // label: its name.  load(item): the items inside, or throws.  state(item): "true", "false", "mixed" or "fixed".
  // toggle(item): a person ticked it.  words(item): what stands at the end of the line.
  constructor({ label, load, state, toggle, words = () => "", wrong = () => {} }) {
    Object.assign(this, { load, state, toggle, words, wrong });
    this.place = h("ul", { role: "tree", "aria-label": label, class: "tree", on: { keydown: (event) => this.key(event) } });
    this.lines = [];
  }

  show(items) {
    this.lines = items.map((item) => this.line(item, 1, null));
    this.place.replaceChildren(...this.lines.map((line) => line.row));
    const first = this.visible()[0];
    if (first) first.row.tabIndex = 0;
    this.refresh();
  }

  line(item, level, parent) {
    const name = h("span", { class: "name", id: uid() }, shown(item.name));
    const about = h("span", { class: "about", id: uid() });
    const tick = h("span", { class: "tick", "aria-hidden": "true" });
    const turn = h("span", { class: "turn", "aria-hidden": "true" }, item.leaf ? null : picture("right"));
    const group = item.leaf ? null : h("ul", { role: "group" });
    const bar = h("div", { class: "bar" }, turn, tick, picture(item.picture ?? (item.leaf ? "file" : "folder")), name, about);
    const row = h("li", { role: "treeitem", "aria-level": String(level), tabindex: "-1", "aria-expanded": item.leaf ? null : "false", "aria-labelledby": `${name.id} ${about.id}`, "data-key": item.path }, bar, group);
    const line = { item, level, parent, row, group, about, lines: null, open: false };
    bar.addEventListener("click", (event) => {
      this.focus(line);
      if (event.target.closest(".turn") && group) this.expand(line, !line.open);
      else this.choose(line);
    });
    return line;
  }

  refresh(lines = this.lines) {
    for (const line of lines) {
      const state = this.state(line.item);
      line.row.setAttribute("aria-checked", state === "fixed" ? "false" : state);
      line.row.toggleAttribute("aria-disabled", false);
      if (state === "fixed") line.row.setAttribute("aria-disabled", "true");
      else line.row.removeAttribute("aria-disabled");
      line.about.textContent = this.words(line.item);
      if (line.lines) this.refresh(line.lines);
    }
  }

  // Each line that was fetched so far.
  forEach(act, lines = this.lines) {
    for (const line of lines) {
      act(line);
      if (line.lines) this.forEach(act, line.lines);
    }
  }

  choose(line) {
    if (this.state(line.item) === "fixed") return;
    this.toggle(line.item);
    this.refresh();
  }

  async expand(line, open) {
    if (!line.group) return;
    line.open = open;
    line.row.setAttribute("aria-expanded", String(open));
    if (!open || line.lines) return;
    line.row.setAttribute("aria-busy", "true");
    try {
      const { items, more } = await this.load(line.item);
      line.lines = items.map((item) => this.line(item, line.level + 1, line));
      line.group.replaceChildren(...line.lines.map((one) => one.row));
      const note = items.length === 0 ? t("tree.empty") : more ? t("tree.more") : "";
      if (note) line.group.append(h("li", { class: "note", role: "none" }, note));
      this.refresh(line.lines);
    } catch (error) {
      line.open = false;
      line.row.setAttribute("aria-expanded", "false");
      this.wrong(error);
    } finally {
      line.row.removeAttribute("aria-busy");
    }
  }

  // ---- the keyboard ----------------------------------------------------------------------------------------

  visible(lines = this.lines) {
    return lines.flatMap((line) => [line, ...(line.open && line.lines ? this.visible(line.lines) : [])]);
  }

  focus(line) {
    for (const one of this.visible()) one.row.tabIndex = -1;
    line.row.tabIndex = 0;
    line.row.focus();
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = this.visible();
    const at = all.findIndex((line) => line.row === event.target);
    if (at < 0) return;
    const line = all[at];
    const acts = {
      ArrowDown: () => all[at + 1] && this.focus(all[at + 1]),
      ArrowUp: () => all[at - 1] && this.focus(all[at - 1]),
      Home: () => this.focus(all[0]),
      End: () => this.focus(all[all.length - 1]),
      ArrowRight: () => (line.open && line.lines?.[0] ? this.focus(line.lines[0]) : this.expand(line, true)),
      ArrowLeft: () => (line.open ? this.expand(line, false) : line.parent && this.focus(line.parent)),
      " ": () => this.choose(line),
      Enter: () => this.choose(line),
    };
    const act = acts[event.key] ?? this.typed(event.key, all, at);
    if (!act) return;
    event.preventDefault();
    act();
  }

  // A letter leads to the next line that begins with it.
  typed(key, all, at) {
    if (key.length !== 1) return null;
    const begins = (line) => line.item.name.toLocaleLowerCase().startsWith(key.toLocaleLowerCase());
    const found = [...all.slice(at + 1), ...all.slice(0, at)].find(begins);
    return found ? () => this.focus(found) : null;
  }
}

// Which folders of a server are wanted here: a tick counts for all below it, until one below says otherwise.
export class Choice {
  constructor() {
    this.said = new Map(); // path → { wanted, item }
  }

  wants(path) {
    for (let at = path; at; at = at.slice(0, at.lastIndexOf("/"))) {
      const said = this.said.get(at);
      if (said) return said.wanted;
    }
    return false;
  }

  above(path) {
    return path.slice(0, path.lastIndexOf("/"));
  }

  state(path) {
    const wanted = this.wants(path);
    const mixed = [...this.said].some(([one, said]) => one.startsWith(`${path}/`) && said.wanted !== wanted);
    return mixed ? "mixed" : String(wanted);
  }

  toggle(item) {
    const wanted = this.state(item.path) !== "true";
    for (const one of [...this.said.keys()]) if (one === item.path || one.startsWith(`${item.path}/`)) this.said.delete(one);
    if (this.wants(this.above(item.path)) !== wanted) this.said.set(item.path, { wanted, item });
  }

  // What is to be followed, each with what of it is not wanted.
  folders() {
    const found = [...this.said.values()].filter(({ wanted, item }) => wanted && !this.wants(this.above(item.path)));
    return found.map(({ item }) => ({
      item,
      without: [...this.said.values()].filter((said) => !said.wanted && said.item.path.startsWith(`${item.path}/`) && this.nearest(said.item.path) === item.path).map((said) => said.item),
    }));
  }

  // The followed folder that a path would come with.
  nearest(path) {
    for (let at = this.above(path); at; at = this.above(at)) if (this.said.get(at)?.wanted && !this.wants(this.above(at))) return at;
    return "";
  }
}
