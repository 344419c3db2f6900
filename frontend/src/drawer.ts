// The drawer beside a bank: a locker's facts and acts, fetched when a door is chosen, sent without leaving the page.

import type { BankPicture } from "./bank-picture";
import { bankOf, type Change } from "./shapes";
import { say } from "./words";

interface Chosen {
  bank: string;
  number: string;
}

export function startDrawer(): void {
  const element = document.getElementById("drawer");
  if (element) new Drawer(element);
}

class Drawer {
  readonly #element: HTMLElement;
  #chosen: Chosen | null = null;
  #opener: HTMLElement | null = null;
  #pressed = false;
  #missed = false;

  constructor(element: HTMLElement) {
    this.#element = element;
    const shown = element.querySelector<HTMLElement>("[data-locker]")?.dataset["locker"];
    if (shown) this.#chosen = split(shown);
    document.addEventListener("door", (event) => void this.#open((event as CustomEvent<Chosen>).detail, null));
    document.addEventListener("click", (event) => this.#click(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !element.hidden) this.#close();
    });
    element.addEventListener("submit", (event) => {
      const form = event.target as HTMLFormElement;
      if (!form.matches("[data-drawer]")) return;
      event.preventDefault();
      void this.#send(form);
    });
    document.addEventListener("moved", (event) => this.#moved((event as CustomEvent<Change>).detail));
    // What is under a finger is not replaced: the click would be lost. It is made up for once the finger is up.
    element.addEventListener("pointerdown", () => (this.#pressed = true));
    for (const name of ["pointerup", "pointercancel"]) {
      document.addEventListener(name, () => window.setTimeout(() => this.#released()));
    }
  }

  #released(): void {
    this.#pressed = false;
    if (this.#missed) this.#refresh();
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = event.target instanceof Element ? event.target : null;
    const row = target?.closest<HTMLElement>("[data-door-row]");
    if (row?.dataset["doorRow"]) {
      event.preventDefault();
      void this.#open(split(row.dataset["doorRow"]), row);
    } else if (target?.closest("[data-close]")) {
      event.preventDefault();
      this.#close();
    }
  }

  async #open(chosen: Chosen, opener: HTMLElement | null): Promise<void> {
    this.#chosen = chosen;
    this.#opener = opener;
    this.#mark(chosen.number);
    history.replaceState(null, "", `/banks/${encodeURIComponent(chosen.bank)}?locker=${encodeURIComponent(chosen.number)}`);
    if (!(await this.#load(chosen, true))) return;
    this.#element.querySelector<HTMLElement>("#drawer-title")?.focus();
  }

  // Returns whether the drawer has the locker's facts of now. `asked`: somebody chose it, and waits for them.
  async #load({ bank, number }: Chosen, asked: boolean): Promise<boolean> {
    const html = await fragment(`/banks/${encodeURIComponent(bank)}/lockers/${encodeURIComponent(number)}`);
    if (this.#chosen?.number !== number || this.#chosen.bank !== bank) return false; // closed, or another door meanwhile
    if (html === null) {
      if (asked) location.assign(`/banks/${encodeURIComponent(bank)}?locker=${encodeURIComponent(number)}`);
      return false;
    }
    // Somebody began to fill in a form while this was on its way: theirs comes first.
    if (!asked && this.#writing()) return false;
    if (!asked && this.#pressed) {
      this.#missed = true;
      return false;
    }
    if (!asked && this.#shows(html)) return false;
    this.#put(html);
    return true;
  }

  #writing(): boolean {
    return this.#element.querySelector("details[open]") !== null;
  }

  #shows(html: string): boolean {
    const made = document.createElement("template");
    made.innerHTML = html;
    return made.innerHTML === this.#element.innerHTML;
  }

  #put(html: string): void {
    this.#element.innerHTML = html;
    this.#element.hidden = false;
  }

  async #send(form: HTMLFormElement): Promise<void> {
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    const html = await fragment(form.action, { method: "POST", body });
    if (html === null) {
      // What was typed stays; whether the act happened is not known here.
      for (const button of buttons) button.disabled = false;
      const said = document.createElement("p");
      said.className = "notice unanswered";
      said.dataset["state"] = "alarm";
      said.setAttribute("role", "alert");
      said.textContent = say("live.unanswered");
      form.querySelector(".unanswered")?.remove();
      form.append(said);
      return;
    }
    this.#put(html);
    this.#element.querySelector<HTMLElement>(".notice[role]")?.focus();
  }

  #moved(change: Change): void {
    const chosen = this.#chosen;
    if (!chosen || !change.lockers.some((locker) => locker.id === `${chosen.bank}-${chosen.number}`)) return;
    this.#refresh();
  }

  #refresh(): void {
    const chosen = this.#chosen;
    this.#missed = false;
    // Somebody who is writing a reason is not interrupted by a door that moves.
    if (!chosen || this.#writing()) return;
    // What was just said about an act stays while the facts around it move, and the focus stays in the drawer.
    const said = this.#element.querySelector<HTMLElement>(".notice[role]");
    const inside = this.#element.contains(document.activeElement);
    const at = said === document.activeElement ? said : null;
    void this.#load(chosen, false).then((shown) => {
      if (!shown) return;
      if (said) this.#element.querySelector(".marks")?.after(said);
      if (inside) (at ?? this.#element.querySelector<HTMLElement>("#drawer-title"))?.focus();
    });
  }

  #close(): void {
    const chosen = this.#chosen;
    this.#chosen = null;
    this.#element.hidden = true;
    this.#element.replaceChildren();
    this.#mark(null);
    if (!chosen) return;
    history.replaceState(null, "", `/banks/${encodeURIComponent(chosen.bank)}`);
    if (this.#opener?.isConnected) this.#opener.focus();
    else pictures()[0]?.focusDoor(chosen.number);
  }

  #mark(number: string | null): void {
    for (const picture of pictures()) picture.select(number);
  }
}

function pictures(): BankPicture[] {
  return [...document.querySelectorAll<BankPicture>("cubby-bank[data-opens]")];
}

function split(locker: string): Chosen {
  const bank = bankOf(locker);
  return { bank, number: locker.slice(bank.length + 1) };
}

// The drawer as the server draws it; null where it did not answer with one. Who is signed out is led to the sign-in.
async function fragment(address: string, how: RequestInit = {}): Promise<string | null> {
  try {
    const answer = await fetch(address, { ...how, headers: { "HX-Request": "true" } });
    if (answer.status === 401) location.reload();
    const html = (answer.headers.get("content-type") ?? "").startsWith("text/html") ? await answer.text() : "";
    return html.includes("data-locker") ? html : null;
  } catch {
    return null;
  }
}
