// The key figures and the captions under the pictures: counted from the banks' own numbers.

import type { BankHeader, EventRow } from "./shapes";
import { moment, say } from "./words";

export class Figures {
  readonly #banks = new Map<string, BankHeader>();
  readonly #root: HTMLElement;

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  bank(bank: BankHeader): void {
    this.#banks.set(bank.id, bank);
    for (const mark of document.querySelectorAll<HTMLElement>(`.presence[data-bank="${CSS.escape(bank.id)}"]`)) {
      mark.dataset["state"] = bank.online ? "free" : "offline";
      mark.querySelector("use")?.setAttribute("href", bank.online ? "#i-wifi" : "#i-offline");
      mark.querySelector("[data-word]")?.replaceChildren(presence(bank));
    }
    this.#root
      .querySelector(`.bank-card[data-bank="${CSS.escape(bank.id)}"] [data-caption]`)
      ?.replaceChildren(caption(bank));
  }

  show(): void {
    if (!this.#root.querySelector("[data-figure]")) return;
    const banks = [...this.#banks.values()];
    if (banks.length < this.#root.querySelectorAll(".bank-card").length) return;
    const sum = (of: (bank: BankHeader) => number) => banks.reduce((all, bank) => all + of(bank), 0);
    const [used, total] = [sum((bank) => bank.in_use), sum((bank) => bank.total)];
    this.#set("in_use_share", total ? Math.round((100 * used) / total) : 0);
    this.#set("of", say("kpi.of", { used, total }));
    this.#set("free", sum((bank) => bank.free));
    this.#set("open", this.#root.querySelectorAll('.door[data-door="open"]').length);
  }

  event(row: EventRow): void {
    const denied = this.#root.querySelector('[data-figure="denied"]');
    if (denied && row.tone === "denied") this.#set("denied", Number(denied.textContent) + 1);
  }

  #set(name: string, value: number | string): void {
    this.#root.querySelector(`[data-figure="${name}"]`)?.replaceChildren(String(value));
  }
}

function presence(bank: BankHeader): string {
  if (bank.online) return say("presence.online");
  return bank.offline_since ? say("presence.offline", { since: moment(bank.offline_since) }) : say("presence.never");
}

function caption(bank: BankHeader): string {
  if (bank.online) return say("bank.free", { n: bank.free });
  return say(bank.offline_since ? "bank.offline" : "bank.never");
}
