// The workbench of the demo: a hand at the simulated hardware. Every answer is said where the hand is.

export class Workbench extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("door", (event) => {
      const { bank, number } = (event as CustomEvent<{ bank: string; number: string }>).detail;
      const tool = this.querySelector<HTMLInputElement>("input[name=tool]:checked")?.value ?? "tap";
      if (tool === "tap") void this.#tap(bank, number);
      else void this.#ask("door", { bank, door: number, act: tool });
    });
    this.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("button[data-do]") : null;
      if (!button) return;
      const bank = button.dataset["bank"] ?? "";
      if (button.dataset["do"] === "tap") void this.#tap(bank, "bank");
      else void this.#ask(button.dataset["do"] ?? "", { bank, act: button.dataset["act"] ?? "" });
    });
  }

  async #tap(bank: string, door: string): Promise<void> {
    const badge = this.querySelector<HTMLSelectElement>("select[name=badge]")?.value ?? "";
    await this.#ask("tap", { bank, door, badge });
  }

  async #ask(what: string, body: Record<string, string>): Promise<void> {
    const place = this.querySelector<HTMLElement>("[data-answer]");
    try {
      const answer = await fetch(`/workbench/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const said = (await answer.json()) as { ok?: boolean; error?: string; detail?: string };
      if (place) place.textContent = said.ok ? "" : (said.error ?? said.detail ?? answer.statusText);
    } catch (error) {
      if (place) place.textContent = String(error);
    }
  }
}
