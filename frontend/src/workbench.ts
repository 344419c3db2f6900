// The workbench of the demo: a hand at the simulated hardware, beside what the live page makes of it.

import type { BankPicture } from "./bank-picture";
import type { Physical } from "./shapes";
import { say } from "./words";

const LOOK_MS = 400;

interface Seen {
  lockers: Record<string, Physical>;
  power: string;
  cables: { state: string }[];
}

export class Workbench extends HTMLElement {
  #timer = 0;
  #busy = false;

  connectedCallback(): void {
    this.addEventListener("door", (event) => {
      const { bank, number } = (event as CustomEvent<{ bank: string; number: string }>).detail;
      const tool = this.querySelector<HTMLInputElement>("input[name=tool]:checked")?.value ?? "tap";
      if (tool === "tap") void this.#do("tap", { bank, door: number, badge: this.#badge() }, "bench.tap", `${bank}-${number}`);
      else void this.#do("door", { bank, door: number, act: tool }, `bench.${tool}`, `${bank}-${number}`);
    });
    this.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button[data-do=tap]") : null;
      const bank = button ? rigOf(button) : "";
      if (bank) void this.#do("tap", { bank, door: "bank", badge: this.#badge() }, "bench.shared", bank);
    });
    this.addEventListener("change", (event) => {
      const input = event.target as HTMLInputElement;
      const what = input.dataset["do"];
      if (what) void this.#do(what, { bank: rigOf(input), act: input.value }, `bench.${what}.${input.value}`, rigOf(input), `bench.${what}`);
    });
    this.addEventListener("input", () => this.#card());
    this.#card();
    this.#timer = window.setInterval(() => void this.#look(), LOOK_MS);
    void this.#look();
  }

  disconnectedCallback(): void {
    clearInterval(this.#timer);
  }

  // The badge that is in the hand: the one that was typed, or else the chosen one.
  #badge(): string {
    const typed = this.querySelector<HTMLInputElement>("input[name=typed]")?.value.trim();
    return typed || (this.querySelector<HTMLSelectElement>("select[name=badge]")?.value ?? "");
  }

  #card(): void {
    const typed = Boolean(this.querySelector<HTMLInputElement>("input[name=typed]")?.value.trim());
    const chosen = this.querySelector<HTMLSelectElement>("select[name=badge]")?.selectedOptions[0];
    const name = typed ? say("bench.typed") : (chosen?.dataset["name"] ?? "");
    const letters = name.split(/\s+/).map((word) => word[0] ?? "");
    const card = this.querySelector(".badge-card");
    card?.querySelector("[data-name]")?.replaceChildren(name);
    card?.querySelector("[data-number]")?.replaceChildren(this.#badge());
    card?.querySelector("[data-initials]")?.replaceChildren(typed ? "?" : `${letters[0] ?? ""}${letters.at(-1) ?? ""}`.toUpperCase());
  }

  async #do(verb: string, body: Record<string, string>, key: string, where: string, before = ""): Promise<void> {
    const place = this.querySelector<HTMLElement>("[data-answer]");
    const [, error] = await ask(verb, body);
    const what = [before ? say(before) : "", say(key)].filter(Boolean).join(" ");
    place?.toggleAttribute("data-wrong", error !== "");
    place?.replaceChildren(error || say("bench.done", { what: `${where}, ${what}` }));
    void this.#look();
  }

  // What one sees on looking: asked for, since the hardware itself tells nobody but its boards.
  async #look(): Promise<void> {
    if (this.#busy || document.hidden) return;
    this.#busy = true;
    try {
      for (const rig of this.querySelectorAll<HTMLElement>("[data-rig]")) {
        const [seen] = await ask("state", { bank: rig.dataset["rig"] ?? "" });
        if (seen) show(rig, seen as unknown as Seen);
      }
    } finally {
      this.#busy = false;
    }
  }
}

function rigOf(element: Element): string {
  return element.closest<HTMLElement>("[data-rig]")?.dataset["rig"] ?? "";
}

function show(rig: HTMLElement, seen: Seen): void {
  const picture = rig.querySelector<BankPicture>("cubby-bank[data-bench]");
  for (const [number, locker] of Object.entries(seen.lockers)) picture?.showPhysical(number, locker);
  const cable = seen.cables.some((one) => one.state === "cut") ? "cut" : "mend";
  for (const value of [cable, seen.power]) {
    const input = rig.querySelector<HTMLInputElement>(`input[data-do][value="${CSS.escape(value)}"]`);
    if (input) input.checked = true;
  }
  rig.toggleAttribute("data-dark", seen.power === "off");
}

// The rig's answer, or what it or the network said against it.
async function ask(verb: string, body: Record<string, string>): Promise<[Record<string, unknown> | null, string]> {
  try {
    const answer = await fetch(`/workbench/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = (await answer.json()) as { ok?: boolean; error?: string; word?: string | null };
    if (said.ok) return [said, ""];
    return [null, say("bench.not_done", { why: said.word ? say(`bench.wrong.${said.word}`) : (said.error ?? "") })];
  } catch {
    return [null, say("bench.not_done", { why: say("bench.wrong.away") })];
  }
}
