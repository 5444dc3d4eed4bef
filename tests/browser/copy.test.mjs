import assert from "node:assert/strict";
import { test } from "node:test";
import { build, open, until } from "./support.mjs";

const site = await (await build()).serve();
/** A table of each kind of source. */
const kinds = [...new Map(site.tables.map((table) => [table.source.kind, table])).values()];
const [first, second] = kinds;
const CLIPBOARD = { permissions: ["clipboard-read", "clipboard-write"] };
const COPY = ".snippets button.copy";

const places = {
  "the web": { start: site.web, options: CLIPBOARD },
  "a folder": { start: site.local, options: CLIPBOARD },
  // What a browser may refuse, it does here.
  "a folder, without permission": { start: site.local, options: { permissions: [] }, paste: true },
  "an intranet": { start: site.intranet, options: {}, paste: true },
};

/** The clipboard, from outside of the page. */
async function clipboard(page, paste) {
  if (!paste) return page.evaluate(() => navigator.clipboard.readText());
  const other = await page.context().newPage();
  await other.setContent("<textarea autofocus></textarea>");
  await other.locator("textarea").focus();
  await other.keyboard.press("Control+v");
  const text = await other.locator("textarea").inputValue();
  await other.close();
  await page.bringToFront();
  return text;
}

const visibleCode = (page) => page.locator(".snippets pre:visible").innerText();
const isSaid = (page, text) => until(page, (text) => [...document.querySelectorAll("[role=status]")].some((e) => e.textContent === text), text);
const chosen = (page) => page.locator(".snippets [role=tab][aria-selected=true]");

for (const [place, { start, options, paste }] of Object.entries(places)) {
  test(`the code of every client is copied as it is shown: ${place}`, async (t) => {
    const page = await open(t, start + kinds[0].page, options);
    if (place === "an intranet") {
      assert.equal(await page.evaluate(() => navigator.clipboard), undefined, "or this test is pointless");
    }
    // Clicking through one table of each kind on one way to copy, through one table on the others.
    const tables = place === "the web" ? kinds : [first];
    for (const table of tables) {
      await page.goto(start + table.page);
      const tabs = page.locator(".snippets [role=tab]");
      const copied = new Set();
      for (const tab of await tabs.all()) {
        await tab.click();
        const shown = await visibleCode(page);
        assert(shown.trim());
        await page.locator(COPY).click();
        await isSaid(page, "Copied");
        const text = await clipboard(page, paste);
        assert.equal(text, shown, `${table.path}, ${await tab.innerText()}`);
        copied.add(text);
        // The next click must say so anew.
        await page.evaluate(() => document.querySelectorAll("[role=status]").forEach((e) => { e.textContent = ""; }));
      }
      assert.equal(copied.size, await tabs.count(), "every client has code of its own");
    }
  });

  test(`the name is copied with its database: ${place}`, async (t) => {
    const page = await open(t, start + first.page, options);
    await page.locator("h1 button").click();
    await isSaid(page, "Copied");
    assert.equal(await clipboard(page, paste), first.path);
  });

  test(`the choice of a client stays: ${place}`, async (t) => {
    const page = await open(t, start + first.page, options);
    const tab = page.locator(".snippets [role=tab]", { hasText: "HTTP" });
    await tab.click();
    await page.goto(start + second.page);
    assert.equal(await chosen(page).innerText(), "HTTP");
    await page.reload();
    assert.equal(await chosen(page).innerText(), "HTTP");
    assert.match(await visibleCode(page), /^curl /);
  });
}

test("the call of every table is copied as it is shown", async (t) => {
  const page = await open(t, `${site.web}${first.database}/index.api.html`, CLIPBOARD);
  const calls = page.locator(".call");
  const tables = site.tables.filter(({ database }) => database === first.database);
  assert.equal(await calls.count(), tables.length);
  for (const call of await calls.all()) {
    const shown = await call.locator("pre").innerText();
    assert.match(shown, new RegExp(`^curl -sS '?http.*/api/rest/${first.database}/`));
    await call.locator("button.copy").click();
    await isSaid(page, "Copied");
    assert.equal(await clipboard(page), shown);
    await page.evaluate(() => document.querySelectorAll("[role=status]").forEach((e) => { e.textContent = ""; }));
  }
});

test("a refused clipboard falls back to the old way", async (t) => {
  const page = await open(t, site.web + first.page);
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError")); });
  await page.locator(COPY).focus();
  await page.keyboard.press("Enter");
  await isSaid(page, "Copied");
  assert.equal(await clipboard(page, true), await visibleCode(page));
  assert.equal(await page.evaluate((selector) => document.activeElement.matches(selector), COPY), true, "the focus comes back");
});

test("failure is not called success", async (t) => {
  const page = await open(t, site.intranet + first.page);
  await page.evaluate(() => { document.execCommand = () => false; });
  await page.locator(COPY).click();
  await isSaid(page, "Copying failed");
  assert.notEqual(await page.locator(COPY).innerText(), "Copied");
});

test("c copies the code on show", async (t) => {
  const page = await open(t, site.web + first.page, CLIPBOARD);
  await page.locator(".snippets [role=tab]", { hasText: "DuckDB" }).click();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("c");
  await isSaid(page, "Copied");
  assert.equal(await clipboard(page), await visibleCode(page));
});

test("the clients are tabs for the keyboard and for screen readers", async (t) => {
  const page = await open(t, site.web + first.page);
  const tabs = page.locator(".snippets [role=tab]");
  const count = await tabs.count();
  const isActive = async (at) => {
    for (let i = 0; i < count; i++) {
      const tab = tabs.nth(i);
      assert.equal(await tab.getAttribute("aria-selected"), String(i === at));
      assert.equal(await tab.getAttribute("tabindex"), i === at ? "0" : "-1");
      const panel = page.locator(`[id="${await tab.getAttribute("aria-controls")}"]`);
      assert.equal(await panel.getAttribute("role"), "tabpanel");
      assert.equal(await panel.isVisible(), i === at);
    }
    assert.equal(await tabs.nth(at).evaluate((tab) => tab === document.activeElement), true);
  };
  await tabs.first().focus();
  const steps = [["ArrowRight", 1], ["ArrowRight", 2], ["ArrowLeft", 1], ["Home", 0], ["ArrowLeft", count - 1], ["ArrowRight", 0], ["End", count - 1]];
  for (const [key, at] of steps) {
    await page.keyboard.press(key);
    await isActive(at);
  }
  await page.reload();
  assert.equal(await tabs.last().getAttribute("aria-selected"), "true", "what arrows choose stays, too");
});

test("an unknown client of the past is no blank box", async (t) => {
  const page = await open(t, site.web + first.page);
  await page.evaluate(() => { localStorage.neurolakeSnippet = "fortran"; });
  await page.reload();
  assert.equal(await page.locator(".snippets [role=tab]").first().getAttribute("aria-selected"), "true");
  assert((await visibleCode(page)).trim());
});

test("code that sends events is a group of its own", async (t) => {
  const [table, other] = site.tables.filter(({ ingest }) => ingest);
  const page = await open(t, site.web + table.page, CLIPBOARD);
  await page.locator(".facts a", { hasText: "takes events" }).click();
  await until(page, () => location.hash === "#send");
  const [reading, sending] = [page.locator("main .snippets").first(), page.locator("#send .snippets")];
  const code = (group) => group.locator("pre:visible").innerText();
  assert.deepEqual(await sending.locator("[role=tab]").allInnerTexts(), ["Python", "HTTP", "Rust"]);
  const read = await code(reading);
  for (const tab of await sending.locator("[role=tab]").all()) {
    await tab.click();
    await page.evaluate(() => document.querySelectorAll("[role=status]").forEach((e) => { e.textContent = ""; }));
    await sending.locator("button.copy").click();
    await isSaid(page, "Copied");
    assert.equal(await clipboard(page), await code(sending));
    assert.equal(await code(reading), read, "the other group stays as it is");
  }
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("c");
  await until(page, (read) => navigator.clipboard.readText().then((text) => text === read), read);
  await sending.locator("[role=tab]", { hasText: "HTTP" }).click();
  await page.goto(site.web + other.page);
  assert.match(await code(sending), /^curl .*\/v1\/ingest\//);
  assert.match(await code(reading), /^curl .*\/api\/sql/, "a client is chosen once for both");
});

test("a table that takes no events offers no code to send them", async (t) => {
  const page = await open(t, site.web + site.tables.find(({ ingest }) => !ingest).page);
  assert.equal(await page.locator(".snippets").count(), 1);
  assert.equal(await page.getByText("takes events").count(), 0);
});
