// The mails that have arrived at the demo's mail server: a list that keeps itself up to date, and the chosen one.

import { moment, say } from "./words";

const LOOK_MS = 2000;

interface Mail {
  id: string;
  at_ms: number;
  to: string;
  subject: string;
}

export class Mails extends HTMLElement {
  #timer = 0;
  #newest = "";

  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const chosen = event.target instanceof Element ? event.target.closest<HTMLElement>("button[data-mail]") : null;
      if (chosen) this.#open(chosen);
    });
    this.#timer = window.setInterval(() => void this.#look(), LOOK_MS);
    void this.#look();
  }

  disconnectedCallback(): void {
    clearInterval(this.#timer);
  }

  #open(chosen: HTMLElement): void {
    for (const one of this.querySelectorAll("button[data-mail]")) one.removeAttribute("aria-current");
    chosen.setAttribute("aria-current", "true");
    const frame = this.querySelector("iframe");
    if (!frame) return;
    frame.src = `/workbench/mails/${chosen.dataset["mail"] ?? ""}`;
    frame.hidden = false;
  }

  async #look(): Promise<void> {
    if (document.hidden) return;
    try {
      const answer = await fetch("/workbench/mails", { headers: { Accept: "application/json" } });
      const { mails = [] } = (await answer.json()) as { mails?: Mail[] };
      const newest = mails.map((mail) => mail.id).join(" ");
      if (answer.ok && newest !== this.#newest) {
        this.#newest = newest;
        this.#show(mails);
      }
    } catch {
      // It is looked at again; what has arrived stays listed.
    }
  }

  // Rows that are there stay, so that the focus does.
  #show(mails: Mail[]): void {
    const list = this.querySelector("ol");
    const there = new Map([...this.querySelectorAll<HTMLElement>("button[data-mail]")].map((row) => [row.dataset["mail"], row.parentElement]));
    list?.replaceChildren(...mails.map((mail) => there.get(mail.id) ?? row(mail)));
    this.querySelector<HTMLElement>("[data-none]")?.toggleAttribute("hidden", mails.length > 0);
  }
}

function row(mail: Mail): HTMLLIElement {
  const [item, button, subject, about] = [document.createElement("li"), document.createElement("button"), document.createElement("b"), document.createElement("small")];
  button.type = "button";
  button.dataset["mail"] = mail.id;
  subject.textContent = mail.subject;
  about.textContent = `${moment(mail.at_ms)} · ${say("bench.mail.to", { to: mail.to })}`;
  button.append(subject, " ", about);
  item.append(button);
  return item;
}
