// The drawer beside a bank: a locker's facts and acts, fetched when a door is chosen, sent without leaving the page.

import type { BankPicture } from "./bank-picture";
import type { Change } from "./shapes";

let chosen: { bank: string; number: string } | null = null;

export function startDrawer(): void {
  const drawer = document.getElementById("drawer");
  if (!drawer) return;
  const open = drawer.querySelector<HTMLElement>("[data-locker]")?.dataset["locker"];
  if (open) chosen = split(open);
  document.addEventListener("door", (event) => {
    const { bank, number } = (event as CustomEvent<{ bank: string; number: string }>).detail;
    void show(drawer, bank, number, true);
  });
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const link = target?.closest<HTMLAnchorElement>("a[data-opens]");
    if (link?.dataset["opens"]) {
      event.preventDefault();
      const [, , bank, , number] = link.dataset["opens"].split("/");
      if (bank && number) void show(drawer, decodeURIComponent(bank), number, true);
    } else if (target?.closest("[data-close]")) {
      event.preventDefault();
      close(drawer);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !drawer.hidden) close(drawer);
  });
  drawer.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (!form.matches("[data-drawer]")) return;
    event.preventDefault();
    void send(drawer, form);
  });
  document.addEventListener("moved", (event) => {
    const change = (event as CustomEvent<Change>).detail;
    // Somebody who is writing a reason is not interrupted by a door that moves.
    const busy = drawer.querySelector("details[open]") !== null;
    if (chosen && !busy && change.lockers.some((locker) => locker.id === `${chosen?.bank}-${chosen?.number}`)) {
      void show(drawer, chosen.bank, chosen.number, false);
    }
  });
}

function split(id: string): { bank: string; number: string } {
  const at = id.lastIndexOf("-");
  return { bank: id.slice(0, at), number: id.slice(at + 1) };
}

async function show(drawer: HTMLElement, bank: string, number: string, take: boolean): Promise<void> {
  chosen = { bank, number };
  for (const picture of document.querySelectorAll<BankPicture>("cubby-bank[data-opens]")) picture.select(number);
  const answer = await fetch(`/banks/${encodeURIComponent(bank)}/lockers/${encodeURIComponent(number)}`);
  const text = await answer.text();
  if (chosen?.number !== number || chosen.bank !== bank) return; // closed or another door meanwhile
  // What was just said about an act stays while the facts around it move.
  const said = take ? null : drawer.querySelector(".notice[role]");
  // Somebody began to fill in a form while this was on its way: theirs comes first.
  if (!take && drawer.querySelector("details[open]")) return;
  drawer.innerHTML = text;
  if (said) drawer.querySelector(".marks")?.after(said);
  drawer.hidden = false;
  if (take) drawer.querySelector<HTMLElement>("[data-close]")?.focus();
}

async function send(drawer: HTMLElement, form: HTMLFormElement): Promise<void> {
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form) as unknown as Record<string, string>);
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Fragment": "drawer" } });
    drawer.innerHTML = await answer.text();
    drawer.querySelector<HTMLElement>("[role=alert],[role=status]")?.scrollIntoView({ block: "nearest" });
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function close(drawer: HTMLElement): void {
  drawer.hidden = true;
  drawer.replaceChildren();
  for (const picture of document.querySelectorAll<BankPicture>("cubby-bank[data-opens]")) {
    picture.select(null);
    if (chosen) picture.focusDoor(chosen.number);
  }
  chosen = null;
}
