// How things are, in words: the state, the folders, what may be done about it.

import { ask } from "./asking.js";
import { button, fill, h, mark, picture, say } from "./dom.js";
import { tried } from "./trying.js";
import { clock, foreign, nameOf, number, placeOf, shown, size, t } from "./words.js";

const PAUSES = [3_600, 4 * 3_600, 24 * 3_600, null];

export class Home {
  constructor(page) {
    this.page = page;
    this.state = h("section", { class: "card state" });
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.asking = h("div", {});
    this.folders = h("div", { class: "folders" });
    this.notes = h("div", {});
    this.progress = null;
    this.place = h("div", {}, h("h1", {}, t("part.home")), this.state, this.wrong, this.asking, h("h2", {}, t("home.folders")), this.folders, this.notes);
  }

  async act(what, words) {
    try {
      return await tried(this.wrong, what, words);
    } finally {
      await this.page.look();
    }
  }

  update({ status, guards }) {
    fill(this.state, [status.state, status.running, status.server, status.user, status.device, status.paused_until, Boolean(status.progress), status.words], () => this.stateCard(status));
    if (status.progress) this.showProgress(status.progress);
    fill(this.asking, [guards.length, status.conflicts, troubleCount(status)], () => this.waiting(status, guards));
    fill(this.folders, status.folders.map((one) => ({ ...one, problems: one.problems.length })), () => this.folderCards(status));
    fill(this.notes, [status.notes, status.notices, status.retention], () => this.noteCards(status));
  }

  stateCard(status) {
    const words = h("div", { class: "words" }, h("p", { class: "big" }, stateWords(status)));
    words.append(...this.detail(status));
    if (status.user) words.append(h("p", { class: "hint" }, t("home.account", { user: shown(status.user), device: shown(status.device ?? ""), server: shown(status.server.replace(/^https?:\/\//, "")) })));
    return [mark(status.running ? status.state : "offline"), words, h("div", { class: "buttons" }, ...this.deeds(status))];
  }

  detail(status) {
    if (status.state === "error" || (status.state === "offline" && status.running)) {
      const why = foreign(h("p", {}), status.words);
      if (why.textContent !== t(`state.${status.state}`)) return [why]; // else a folder says why, below
    }
    if (status.state === "paused" && status.paused_until) return [h("p", {}, t("home.paused_until", { time: clock(status.paused_until * 1000) }))];
    if (!status.progress) {
      const files = status.folders.reduce((sum, one) => sum + one.files, 0);
      const bytes = status.folders.reduce((sum, one) => sum + one.bytes, 0);
      return status.folders.length ? [h("p", {}, `${t("files", { count: files })}, ${size(bytes)}`)] : [];
    }
    this.progress = { bar: h("progress", { "aria-label": t("home.progress") }), line: h("p", { class: "tabular" }) };
    return [this.progress.bar, this.progress.line];
  }

  showProgress(progress) {
    if (!this.progress) return;
    const { bar, line } = this.progress;
    if (progress.total_bytes) {
      bar.max = progress.total_bytes;
      bar.value = progress.done_bytes;
    }
    line.textContent = progressWords(progress);
  }

  deeds(status) {
    if (!status.server) return [];
    if (!status.running) return [button(t("home.start"), () => this.act(() => ask("start"), t("home.started")), { kind: "main", icon: "play", "data-key": "start" })];
    if (status.state === "paused") return [button(t("home.resume"), () => this.act(() => ask("resume"), t("home.resumed")), { kind: "main", icon: "play", "data-key": "pause" })];
    if (status.state === "error") return signInAgain(status) ? [h("a", { href: "#/first", class: "button main" }, t("home.sign_in"))] : [];
    const pause = h("select", { "aria-label": t("home.pause"), "data-key": "pause", on: { change: () => {
      const seconds = PAUSES[pause.selectedIndex - 1];
      this.act(() => ask("pause", { seconds }), t("state.paused"));
    } } }, h("option", { value: "" }, t("home.pause")), ...PAUSES.map((seconds) => h("option", {}, seconds === null ? t("home.pause_open") : t("home.pause_hours", { count: seconds / 3_600 }))));
    const sync = button(t("home.sync"), async () => {
      sync.disabled = true;
      const told = await this.act(() => ask("sync"));
      sync.disabled = false;
      if (told) say(t(told.synced ? "state.synced" : told.goes_on ? "state.syncing" : "state.attention"));
    }, { icon: "again", "data-key": "sync" });
    return [sync, pause];
  }

  // What a person has to decide, each with the way to it.
  waiting(status, guards) {
    const lines = [];
    if (guards.length) lines.push(["attention", t("home.guards", { count: guards.reduce((sum, one) => sum + one.count, 0) }), "problems"]);
    if (status.conflicts) lines.push(["conflicts", t("home.conflicts", { count: status.conflicts }), "conflicts"]);
    const troubles = troubleCount(status);
    if (troubles) lines.push(["problems", t("home.problems", { count: troubles }), "problems"]);
    if (!lines.length) return [];
    return [h("ul", { class: "card ways" }, ...lines.map(([icon, words, place]) => h("li", {}, h("a", { href: `#/${place}` }, picture(icon), h("span", {}, words), picture("right")))))];
  }

  folderCards(status) {
    if (!status.folders.length) {
      if (!status.running) return [h("p", { class: "empty" }, t("home.not_running"))];
      if (status.state === "starting") return [h("p", { class: "empty" }, t("state.starting"))];
      return [h("div", { class: "card empty" }, picture("folder", "large"), h("p", {}, t("home.no_folder")), h("a", { href: "#/first", class: "button main" }, t("home.choose")))];
    }
    return status.folders.map((folder) => this.folderCard(folder));
  }

  folderCard(folder) {
    const open = button(t("open"), () => this.act(() => ask("show", { path: folder.local })), { icon: "open", "aria-label": t("home.open", { name: nameOf(folder.local) }), "data-key": `open ${folder.local}` });
    const facts = [h("span", {}, t("files", { count: folder.files })), h("span", {}, size(folder.bytes))];
    if (folder.waiting) facts.push(h("span", {}, t("home.waiting", { count: folder.waiting })));
    if (folder.read_only) facts.push(h("span", { class: "chip" }, t("home.read_only")));
    if (folder.own_files) facts.push(h("span", {}, t("home.own_files", { count: folder.own_files })));
    if (folder.quota) facts.push(h("span", {}, t("home.quota", { free: size(folder.quota.free_bytes) })));
    const words = folder.state === "error" ? foreign(h("p", { class: "wrong" }), folder.words) : null;
    return h("section", { class: "card folder" },
      mark(folder.state),
      h("div", { class: "words" }, h("h3", {}, nameOf(folder.local)), h("p", { class: "hint path" }, placeOf(folder.local)), h("p", { class: "hint path" }, shown(folder.remote)), words, h("p", { class: "facts" }, h("span", {}, t(`state.${folder.state}`)), ...facts)),
      h("div", { class: "buttons" }, open));
  }

  noteCards(status) {
    const found = [...(status.notices ?? []).map((one) => [one.words, one.command]), ...status.notes.map((note) => [note, ""])];
    if (!found.length) return [];
    return [h("h2", {}, t("home.notes")), h("ul", { class: "card notes" }, ...found.map(([words, command]) => h("li", {}, foreign(h("p", {}), words), command ? h("code", {}, shown(command)) : null)))];
  }
}

export function stateWords(status) {
  return t(status.running || !status.server ? `state.${status.state}` : "state.stopped");
}

export function troubleCount(status) {
  return status.folders.reduce((count, folder) => count + folder.problems.filter((one) => one.code !== "guard").length, 0);
}

// The sign-in of this computer has ended: the first two steps do it again.
export function signInAgain(status) {
  return status.running && status.words.includes("mb-sync login");
}

export function progressWords(progress) {
  const files = progress.total_files ? t("progress.files", { done: number(progress.done_files), total: number(progress.total_files) }) : "";
  const bytes = progress.total_bytes ? t("progress.bytes", { done: size(progress.done_bytes), total: size(progress.total_bytes) }) : "";
  const speed = progress.bytes_per_second ? t("progress.speed", { size: size(progress.bytes_per_second) }) : "";
  return [files, bytes, speed].filter(Boolean).join(" · ");
}
