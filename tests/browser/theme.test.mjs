import assert from "node:assert/strict";
import { test } from "node:test";
import { build, open } from "./support.mjs";

const site = await (await build()).serve();
const [table] = site.tables;
/** One page of each top-level kind; the page of missing pages carries its own style. */
const pages = ["index.html", table.page, "search.html", "404.html"];

const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const brightness = (colour) => Math.max(...colour.match(/[\d.]+/g).slice(0, 3).map(Number));
const isDark = async (page) => brightness(await background(page)) < 64;

for (const file of pages) {
  test(`${file} is as bright as the system`, async (t) => {
    const page = await open(t, site.web + file);
    for (const colorScheme of ["dark", "light"]) {
      await page.emulateMedia({ colorScheme });
      assert.equal(await isDark(page), colorScheme === "dark");
    }
  });

  for (const theme of ["dark", "light"]) {
    test(`${file} is ${theme} from the first moment when that was chosen`, async (t) => {
      const page = await open(t, site.web, { colorScheme: theme === "dark" ? "light" : "dark" });
      await page.evaluate((theme) => { localStorage.neurolakeTheme = theme; }, theme);
      // Nothing is painted before there is a body: what holds then is what is seen first.
      await page.addInitScript(() => {
        new MutationObserver((_, observer) => {
          if (!document.body) return;
          globalThis.themeAtFirst = document.documentElement.dataset.theme;
          observer.disconnect();
        }).observe(document, { childList: true, subtree: true });
      });
      // The big script comes late, as on a slow line.
      let letGo;
      const held = new Promise((resolve) => { letGo = resolve; });
      await page.route("**/site.js*", async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(site.web + file, { waitUntil: "commit" });
      await page.locator("h1").waitFor();
      assert.equal(await page.evaluate(() => globalThis.themeAtFirst), theme);
      assert.equal(await isDark(page), theme === "dark");
      letGo();
      await page.waitForLoadState("load");
      assert.equal(await isDark(page), theme === "dark");
    });
  }
}

for (const [place, start] of [["the web", site.web], ["a folder", site.local]]) {
  test(`the theme is switched, said and kept: ${place}`, async (t) => {
    const page = await open(t, start + table.page, { colorScheme: "light" });
    const button = page.locator("button.theme");
    const steps = [["light", false], ["dark", true], ["automatic", false], ["light", false], ["dark", true]];
    assert.equal(await button.getAttribute("aria-label"), "Theme: automatic");
    for (const [at, [theme, dark]] of steps.entries()) {
      if (at % 2) await page.keyboard.press("t");
      else await button.click();
      assert.equal(await button.getAttribute("aria-label"), `Theme: ${theme}`);
      assert.equal(await isDark(page), dark);
      await page.reload();
      assert.equal(await button.getAttribute("aria-label"), `Theme: ${theme}`);
      assert.equal(await isDark(page), dark);
    }
    await page.goto(`${start}index.html`);
    assert.equal(await isDark(page), true, "on the next page, too");
  });
}

test("without storage the theme lasts for the page", async (t) => {
  const page = await open(t, site.web, { colorScheme: "light" });
  await page.addInitScript(() => {
    Object.defineProperty(globalThis, "localStorage", { get() { throw new DOMException("no", "SecurityError"); } });
  });
  await page.goto(site.web + table.page);
  await page.locator("button.theme").click();
  await page.locator("button.theme").click();
  assert.equal(await isDark(page), true);
  await page.locator(".snippets [role=tab]").last().click();
  assert.equal(await page.locator(".snippets [role=tab]").last().getAttribute("aria-selected"), "true");
});

test("paper shows the table and nothing around it", async (t) => {
  const page = await open(t, site.web, { colorScheme: "dark" });
  await page.evaluate(() => { localStorage.neurolakeTheme = "dark"; });
  for (const { page: file } of [...new Map(site.tables.map((table) => [table.source.kind, table])).values()]) {
    await page.goto(site.web + file);
    await page.emulateMedia({ media: "print" });
    assert.equal(await background(page), "rgb(255, 255, 255)", "no black paper");
    const chrome = "body > header, body > footer, .side, button, input, [role=tablist]";
    assert.deepEqual(await page.locator(`:is(${chrome}):visible`).evaluateAll((all) => all.map((e) => e.outerHTML)), []);
    for (const part of ["h1", ".facts", "#schema"]) assert(await page.locator(part).isVisible(), part);
    assert.equal(await page.locator(".snippets pre:visible").count(), 1);
    await page.emulateMedia({ media: null });
  }
});
