// Holds the live feed of a page and puts what it says into pictures, lists, figures and presence marks.

import { BankPicture } from "./bank-picture";
import { prepend } from "./event-list";
import { Feed } from "./feed";
import { Figures } from "./figures";
import { refreshParts } from "./parts";
import { bankOf, type Change, type EventRow, type Locker } from "./shapes";
import { lookOf, say } from "./words";

export class Live extends HTMLElement {
  #feed: Feed | undefined;
  #newest = Number(document.body.dataset["feed"] ?? 0);
  readonly #figures = new Figures(this);
  readonly #wrong = new Map<string, string>();

  connectedCallback(): void {
    this.#feed = new Feed(this.dataset["banks"] ?? "", document.body.dataset["feed"] ?? "", (change) => this.#apply(change));
  }

  disconnectedCallback(): void {
    this.#feed?.close();
  }

  #apply(change: Change): void {
    let wrong = false;
    for (const locker of change.lockers) {
      const moved = this.#locker(locker);
      wrong = this.#changed(locker.id, `${locker.alarm}|${locker.check}|${locker.out_of_service}`, moved) || wrong;
    }
    for (const bank of change.banks) {
      this.#figures.bank(bank);
      const now = [bank.online, bank.lagging, bank.clock_doubt, bank.stale, bank.quarantine].join("|");
      wrong = this.#changed(bank.id, now, true) || wrong;
    }
    for (const row of change.events) this.#event(row);
    this.#figures.show();
    if (wrong) refreshParts();
    this.dispatchEvent(new CustomEvent("moved", { bubbles: true, detail: change }));
  }

  // Whether what is wrong at a locker or bank is not what it was. `doubt` decides where it was never heard of.
  #changed(id: string, now: string, doubt: boolean): boolean {
    const before = this.#wrong.get(id);
    this.#wrong.set(id, now);
    return before === undefined ? doubt : before !== now;
  }

  #locker(locker: Locker): boolean {
    let moved = false;
    const bank = CSS.escape(bankOf(locker.id));
    for (const picture of this.querySelectorAll<BankPicture>(`cubby-bank[data-bank="${bank}"]:not([data-bench])`)) {
      moved = picture.show(locker) || moved;
    }
    const row = this.querySelector(`[data-door-row="${CSS.escape(locker.id)}"]`);
    const mark = row?.querySelector<HTMLElement>(".state");
    if (mark) {
      mark.dataset["state"] = locker.state;
      mark.querySelector("use")?.setAttribute("href", `#i-${lookOf(locker)}`);
      mark.querySelector("[data-word]")?.replaceChildren(say(`state.${lookOf(locker)}`));
    }
    const holder = row?.querySelector<HTMLElement>("[data-holder]");
    holder?.replaceChildren(locker.holder?.name ?? holder.dataset["size"] ?? "");
    return moved;
  }

  #event(row: EventRow): void {
    if (row.id <= this.#newest) return; // a feed that was taken up again repeats itself
    this.#newest = row.id;
    prepend(row);
    this.#figures.event(row);
    if (row.tone === "denied" || row.tone === "alarm") {
      const said = [row.what, row.locker ?? say("bank.title", { bank: row.bank }), row.who].filter(Boolean).join(", ");
      document.getElementById("said")?.replaceChildren(said);
    }
  }
}
