// Holds the live feed of a page and puts what it says into pictures, figures, presence marks and event lists.

import { BankPicture } from "./bank-picture";
import type { BankHeader, Change, EventRow } from "./shapes";

export class Live extends HTMLElement {
  #source: EventSource | undefined;

  connectedCallback(): void {
    const banks = this.dataset["banks"];
    this.#source = new EventSource(banks ? `/live?banks=${encodeURIComponent(banks)}` : "/live");
    this.#source.addEventListener("change", (event) => this.#apply(JSON.parse(event.data) as Change));
    // The feed could not keep up with us, or the server was upgraded: what the page shows is no longer certain.
    this.#source.addEventListener("reset", () => location.reload());
    this.#source.addEventListener("open", () => document.documentElement.removeAttribute("data-stale"));
    this.#source.addEventListener("error", () => document.documentElement.setAttribute("data-stale", ""));
  }

  disconnectedCallback(): void {
    this.#source?.close();
  }

  #apply(change: Change): void {
    for (const locker of change.lockers) {
      const bank = locker.id.slice(0, locker.id.lastIndexOf("-"));
      for (const picture of this.querySelectorAll<BankPicture>(`cubby-bank[data-bank="${CSS.escape(bank)}"]`)) {
        picture.show(locker);
      }
    }
    for (const bank of change.banks) this.#bank(bank, change);
    for (const row of change.events) this.#event(row);
    if (change.lockers.length > 0 || change.banks.length > 0) this.#figures();
    this.dispatchEvent(new CustomEvent("moved", { bubbles: true, detail: change }));
  }

  #bank(bank: BankHeader, change: Change): void {
    for (const mark of document.querySelectorAll<HTMLElement>(`.presence[data-bank="${CSS.escape(bank.id)}"]`)) {
      if (mark.hasAttribute("data-quiet")) continue;
      const word = mark.querySelector("[data-word]");
      const said = change.words?.presence?.[bank.id];
      mark.dataset["state"] = bank.online ? "free" : "offline";
      mark.querySelector("use")?.setAttribute("href", bank.online ? "#i-wifi" : "#i-offline");
      if (word && said) word.textContent = said;
    }
    const free = change.words?.free?.[bank.id];
    const count = this.querySelector(`.bank-card[data-bank="${CSS.escape(bank.id)}"] [data-free]`);
    if (count && free) count.textContent = free;
  }

  #event(row: EventRow): void {
    for (const list of document.querySelectorAll<HTMLOListElement>("[data-events]")) {
      const tone = list.dataset["tone"];
      if (tone && tone !== row.tone) continue;
      if (list.querySelector(`[data-id="${row.id}"]`)) continue;
      list.prepend(line(row));
      list.parentElement?.querySelector("[data-empty]")?.remove();
      while (list.childElementCount > Number(list.dataset["most"] ?? 50)) list.lastElementChild?.remove();
    }
    if (row.tone === "denied" || row.tone === "alarm") {
      const said = document.getElementById("said");
      if (said) said.textContent = [row.what, row.locker, row.who].filter(Boolean).join(", ");
      if (row.tone === "denied") this.#add("denied", 1);
    }
  }

  // The figures are counted from the pictures, so the two always agree.
  #figures(): void {
    if (!this.querySelector("[data-figure]")) return;
    const all = [...this.querySelectorAll<SVGGElement>(".door[data-locker]")];
    const is = (state: string) => all.filter((door) => door.dataset["state"] === state).length;
    const used = is("inuse") + is("expiring") + is("yours") + is("waiting");
    this.#set("free", is("free"));
    this.#set("open", all.filter((door) => door.dataset["door"] === "open").length);
    this.#set("in_use_share", all.length ? Math.round((100 * used) / all.length) : 0);
  }

  #set(name: string, value: number): void {
    const figure = this.querySelector(`[data-figure="${name}"]`);
    if (figure) figure.textContent = String(value);
  }

  #add(name: string, more: number): void {
    const figure = this.querySelector(`[data-figure="${name}"]`);
    if (figure) this.#set(name, Number(figure.textContent) + more);
  }
}

function line(row: EventRow): HTMLLIElement {
  const item = document.createElement("li");
  item.className = "event fresh";
  item.dataset["tone"] = row.tone;
  item.dataset["id"] = String(row.id);
  const time = document.createElement("time");
  time.textContent = new Date(row.at).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hour12: false });
  const dot = document.createElement("span");
  dot.className = "dot";
  const what = document.createElement("span");
  what.className = "what";
  what.append(text("b", row.what));
  if (row.locker) {
    const link = document.createElement("a");
    link.className = "num";
    link.href = `/banks/${encodeURIComponent(row.bank)}?locker=${encodeURIComponent(row.locker.slice(row.bank.length + 1))}`;
    link.textContent = row.locker;
    what.append(" ", link);
  }
  if (row.who) what.append(" ", text("span", row.who, "who"));
  if (row.how) what.append(text("small", row.how));
  item.append(time, dot, what);
  return item;
}

function text(tag: string, content: string, name = ""): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = content;
  if (name) element.className = name;
  return element;
}
