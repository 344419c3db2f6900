// Parts of a page that the server words ([data-part]): fetched anew where something in them may have changed.

const PAUSE_MS = 2_000;

let due = 0;
let running = false;
let again = false;

export function refreshParts(): void {
  if (!document.querySelector("[data-part]")) return;
  if (running) again = true;
  else due ||= window.setTimeout(() => void refresh(), 150);
}

async function refresh(): Promise<void> {
  due = 0;
  running = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error", headers: { Accept: "text/html" } });
    if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The feed says that the server is away; the next change asks again.
  }
  window.setTimeout(() => {
    running = false;
    if (again) {
      again = false;
      refreshParts();
    }
  }, PAUSE_MS);
}

function put(fresh: Document): void {
  for (const part of document.querySelectorAll<HTMLElement>("[data-part]")) {
    const now = fresh.querySelector(`[data-part="${CSS.escape(part.dataset["part"] ?? "")}"]`);
    if (!now || now.innerHTML === part.innerHTML) continue;
    const link = part.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
    part.replaceChildren(...now.childNodes);
    if (link) part.querySelector<HTMLElement>(`a[href="${CSS.escape(link)}"]`)?.focus();
  }
}
