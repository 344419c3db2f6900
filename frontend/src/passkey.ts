// <cubby-passkey data-do="sign-in|make">: asks the browser for a passkey, or to make one. Stays hidden where it cannot.

type Plain = Record<string, unknown>;

export class Passkey extends HTMLElement {
  connectedCallback(): void {
    const able = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;
    this.hidden = !able;
    const button = this.querySelector("button");
    button?.addEventListener("click", () => {
      this.problem(false);
      button.disabled = true;
      const done = this.dataset["do"] === "make" ? this.make() : this.signIn();
      done.catch((error: unknown) => this.problem(!gaveUp(error))).finally(() => (button.disabled = false));
    });
  }

  private async signIn(): Promise<void> {
    const asked = PublicKeyCredential.parseRequestOptionsFromJSON(await post("/sign-in/passkey/options") as never);
    const found = await navigator.credentials.get({ publicKey: asked });
    const next = encodeURIComponent(this.dataset["next"] ?? "/");
    go(await post(`/sign-in/passkey?next=${next}`, plain(found)));
  }

  private async make(): Promise<void> {
    const asked = PublicKeyCredential.parseCreationOptionsFromJSON(await post("/account/passkeys/options") as never);
    const made = await navigator.credentials.create({ publicKey: asked });
    const name = this.querySelector("input")?.value ?? "";
    go(await post("/account/passkeys", { name, credential: plain(made) }));
  }

  private problem(shown: boolean): void {
    const notice = this.querySelector<HTMLElement>("[role=alert]");
    if (notice) notice.hidden = !shown;
  }
}

// Whoever closes the browser's own window changed their mind: that is no error.
function gaveUp(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError");
}

function plain(credential: Credential | null): unknown {
  if (!(credential instanceof PublicKeyCredential)) throw new Error("no passkey");
  return credential.toJSON();
}

function go(answer: Plain): void {
  location.assign(String(answer["next"] ?? "/"));
}

async function post(path: string, body?: unknown): Promise<Plain> {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()) as Plain;
}
