"""The real browser, and what people click in it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import BrowserContext, Page, sync_playwright

DEADLINE_MS = 90_000
# Code that reads a table, and code that sends events to it.
READ = "main section.snippets"
SEND = "#send .snippets"


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, f"none of {', '.join(names)} is installed; the variable CHROMIUM may name another"
    return found


@contextlib.contextmanager
def browser_context() -> Iterator[BrowserContext]:
    """A context that may use the clipboard and reaches nothing but this machine."""
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=[*flags, "--disable-gpu", "--disable-quic", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.set_default_timeout(DEADLINE_MS)
        yield context
        browser.close()


def copy(page: Page, client: str, group: str = READ) -> str:
    """Chooses a client, clicks the button, and gives what is in the clipboard then."""
    # What an earlier click left there must not pass for this one's.
    page.evaluate("navigator.clipboard.writeText('')")
    page.locator(f"{group} [role=tab]").get_by_text(client, exact=True).click()
    page.locator(f"{group} button.copy").click()
    return page.evaluate(
        """async () => {
            const end = performance.now() + 10_000;
            while (performance.now() < end) {
                const text = await navigator.clipboard.readText();
                if (text) return text;
                await new Promise(requestAnimationFrame);
            }
            throw new Error("nothing was copied");
        }"""
    )


def copy_all(context: BrowserContext, site: str, tables: list[str], group: str = READ) -> dict[str, dict[str, str]]:
    """The code of each client for each table, as a reader gets it."""
    copied: dict[str, dict[str, str]] = {}
    page = context.new_page()
    for table in tables:
        page.goto(f"{site}{table.replace('.', '/')}.html")
        clients = page.locator(f"{group} [role=tab]").all_inner_texts()
        copied[table] = {client: copy(page, client, group) for client in clients}
    page.close()
    return copied
