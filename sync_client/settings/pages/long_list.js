// A list of thousands: it comes part by part, shows as many lines as somebody looks at, and finds among all of them.

import { h, uid } from "./dom.js";
import { currentLanguage, t } from "./words.js";

const STEP = 100; // lines more at a time
const NEAR_PX = 200; // to the end: then more lines come by themselves
const TYPED_MS = 150;

export class LongList {
  // load(after) → { items, next }; text(item) is what is searched; line(item) → what stands in a line.
  constructor({ label, load, text, line }) {
    this.load = load;
    this.text = text;
    this.line = line;
    this.items = [];
    this.found = [];
    this.isWhole = false;
    const search = h("input", { type: "search", id: uid(), autocomplete: "off", spellcheck: "false" });
    let timer = 0;
    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.show(), TYPED_MS);
    });
    this.search = search;
    this.told = h("p", { class: "hint tabular", role: "status" });
    this.lines = h("ul", {});
    this.more = h("button", { type: "button", hidden: true, on: { click: () => this.grow() } }, t("long_list.more"));
    this.box = h("div", { class: "long-list", tabindex: "0", role: "group", "aria-label": label, on: { scroll: () => this.scrolled() } }, this.lines, this.more);
    this.place = h("div", {}, h("div", { class: "field" }, h("label", { for: search.id }, t("long_list.search")), search), this.told, this.box);
  }

  // All of it, each part shown as it comes.  Throws what the server said.
  async begin() {
    for (let after = 0; after !== null && this.place.isConnected; ) {
      const part = await this.load(after);
      this.items.push(...part.items);
      after = part.next;
      this.isWhole = after === null;
      this.show({ anew: this.isWhole });
    }
  }

  show({ anew = true } = {}) {
    const wanted = this.search.value.trim().toLocaleLowerCase();
    if (this.isWhole && !this.isSorted) {
      const order = new Intl.Collator(currentLanguage(), { numeric: true });
      this.items.sort((one, other) => order.compare(this.text(one), this.text(other)));
      this.isSorted = true;
    }
    this.found = wanted ? this.items.filter((item) => this.text(item).toLocaleLowerCase().includes(wanted)) : this.items;
    if (anew) this.lines.replaceChildren();
    this.told.textContent = [this.isWhole ? "" : t("loading"), wanted ? t("long_list.found", { count: this.found.length, total: this.items.length }) : t("long_list.all", { count: this.items.length })].filter(Boolean).join(" ");
    if (this.lines.childElementCount < STEP) this.grow();
    this.more.hidden = this.lines.childElementCount >= this.found.length;
  }

  grow() {
    const held = document.activeElement === this.more;
    const at = this.lines.childElementCount;
    const more = this.found.slice(at, at + STEP).map((item) => h("li", {}, this.line(item)));
    this.lines.append(...more);
    this.more.hidden = this.lines.childElementCount >= this.found.length;
    if (held && this.more.hidden) this.box.focus();
  }

  scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.box;
    if (!this.more.hidden && scrollTop + clientHeight > scrollHeight - NEAR_PX) this.grow();
  }
}
