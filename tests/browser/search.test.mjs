import assert from "node:assert/strict";
import { test } from "node:test";
import { build, expectProblem, open, texts, until } from "./support.mjs";

const site = await (await build()).serve();
const INPUT = "#q";
const OPTION = "[role=option]";

const columns = site.tables.flatMap((table) => table.columns?.map(({ name }) => ({ table, name })) ?? []);
/** A column of only one table, as far down on its page as there is one. */
const lonely = columns
  .filter(({ name }) => columns.filter((other) => other.name === name).length === 1 && name.length > 6)
  .reduce((deep, column) => column.table.columns.length > deep.table.columns.length ? column : deep);
const deep = { ...lonely, name: columns.filter(({ table, name }) => table === lonely.table
  && columns.filter((other) => other.name === name).length === 1).at(-1).name };
const anyTable = site.tables.find(({ name }) => name.length > 6);

const isFocused = (page) => page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, INPUT);
const type = async (page, text) => {
  await page.locator(INPUT).fill("");
  await page.locator(INPUT).pressSequentially(text);
  await until(page, () => !document.querySelector(".popup").hidden);
};
const attribute = (page, name) => page.locator(INPUT).getAttribute(name);
/** The selected option, as a screen reader is told and as it is seen. */
const selected = async (page) => {
  const id = await attribute(page, "aria-activedescendant");
  const marked = await page.locator(`${OPTION}[aria-selected=true]`).evaluateAll((options) => options.map((option) => option.id));
  assert.deepEqual(marked, id === null ? [] : [id]);
  return id;
};

for (const file of ["index.html", anyTable.page, "search.html"]) {
  test(`keys that lead to the search box of ${file}`, async (t) => {
    const page = await open(t, site.web + file);
    for (const key of ["/", "s", "Control+k", "Meta+k"]) {
      await page.evaluate(() => document.activeElement.blur());
      assert.equal(await isFocused(page), false);
      await page.keyboard.press(key);
      assert.equal(await isFocused(page), true, key);
      assert.equal(await page.locator(INPUT).inputValue(), "", "the key itself is not typed");
    }
  });
}

test("keys are letters while somebody types", async (t) => {
  const page = await open(t, site.web + lonely.table.page);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  for (const field of [INPUT, "input.filter"]) {
    await page.locator(field).fill("");
    await page.locator(field).pressSequentially("s/ct?");
    assert.equal(await page.locator(field).inputValue(), "s/ct?");
    assert.equal(await theme(), undefined);
    assert.equal(await page.locator("dialog[open]").count(), 0);
  }
});

test("keys with Ctrl or Alt stay the browser's", async (t) => {
  const page = await open(t, site.web + anyTable.page);
  for (const key of ["Control+s", "Alt+s", "Control+c", "Alt+t"]) await page.keyboard.press(key);
  assert.equal(await isFocused(page), false);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), undefined);
});

test("the index is loaded when the box is first used, and once", async (t) => {
  const page = await open(t, site.web);
  const asked = () => page.requests.filter((address) => /assets\/search/.test(address)).length;
  await page.waitForLoadState("networkidle");
  assert.equal(asked(), 0);
  await page.locator(INPUT).focus();
  await until(page, () => globalThis.neurolakeIndex);
  const first = asked();
  assert(first > 0);
  assert(!page.requests.some((address) => address.includes("search-text")), "descriptions only when names don't do");
  await page.locator(INPUT).blur();
  await page.locator(INPUT).focus();
  await type(page, anyTable.name);
  assert.equal(page.requests.filter((address) => address.includes("search-index")).length, 1);
});

for (const [place, start] of [["the web", site.web], ["a folder", `${site.local}index.html`]]) {
  test(`a name leads to its table: ${place}`, async (t) => {
    const page = await open(t, start);
    await type(page, anyTable.path);
    assert.equal(await attribute(page, "aria-expanded"), "true");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/${anyTable.page}`);
    assert.equal(await page.locator("h1").getAttribute("data-name"), anyTable.path);
  });

  test(`a column leads to its row, highlighted and in sight: ${place}`, async (t) => {
    for (const width of [1280, 390]) {
      const page = await open(t, start, { viewport: { width, height: 700 }, reducedMotion: "reduce" });
      await type(page, deep.name);
      const option = page.locator(OPTION).first();
      const named = await option.locator("code mark").allInnerTexts();
      assert.equal(named.join(""), deep.name, "the matched column is named");
      assert.match(await option.innerText(), new RegExp(deep.table.path));
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.hash === `#c-${deep.name}`);
      await page.waitForLoadState("load");
      const row = page.locator("tr:target");
      assert.equal(await row.getAttribute("id"), `c-${deep.name}`);
      await until(page, () => {
        const row = document.querySelector("tr:target").getBoundingClientRect();
        const header = document.querySelector("body > header").getBoundingClientRect();
        return row.top >= header.bottom && row.bottom <= innerHeight;
      });
      const colour = (selector) => page.locator(selector).first().evaluate((element) => getComputedStyle(element).backgroundColor);
      assert.notEqual(await colour("tr:target > th"), await colour("table.schema tbody tr:not(:target) > th"));
      await page.context().close();
    }
  });
}

test("a column on the page that is open already", async (t) => {
  const page = await open(t, site.web + deep.table.page);
  await type(page, deep.name);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.hash === `#c-${deep.name}`);
  await page.locator("tr:target").waitFor();
  assert.equal(await page.locator(".popup").isVisible(), false);
});

test("arrows walk through the results and back into the text", async (t) => {
  const page = await open(t, site.web);
  await type(page, "a");
  assert.equal(await attribute(page, "role"), "combobox");
  const list = page.locator(`#${await attribute(page, "aria-controls")}`);
  assert.equal(await list.getAttribute("role"), "listbox");
  const ids = await page.locator(OPTION).evaluateAll((options) => options.map((option) => option.id));
  assert(ids.length > 3);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(await selected(page), null);
  for (const id of ids) {
    await page.keyboard.press("ArrowDown");
    assert.equal(await selected(page), id);
  }
  await page.keyboard.press("ArrowDown");
  assert.equal(await selected(page), null);
  await page.keyboard.press("ArrowUp");
  assert.equal(await selected(page), ids.at(-1));
  assert.equal(await isFocused(page), true, "the focus stays in the box");
  const target = await page.locator(`#${ids.at(-1)}`).getAttribute("href");
  await page.keyboard.press("Enter");
  await page.waitForURL(new URL(target, site.web).href);
});

test("a new text starts a new selection", async (t) => {
  const page = await open(t, site.web);
  await type(page, "session");
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await selected(page), null);
  await page.keyboard.type("s");
  await until(page, () => !document.querySelector("[role=option][aria-selected=true]"));
  assert.equal(await selected(page), null);
});

test("Esc closes the results, then leaves the box", async (t) => {
  const page = await open(t, site.web);
  await type(page, "session");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".popup").isVisible(), false);
  assert.equal(await attribute(page, "aria-expanded"), "false");
  assert.equal(await isFocused(page), true);
  assert.equal(await page.locator(INPUT).inputValue(), "session");
  await page.keyboard.press("ArrowDown");
  await page.locator(".popup").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  assert.equal(await isFocused(page), false);
});

test("leaving the box closes the results", async (t) => {
  const page = await open(t, site.web);
  await type(page, "session");
  await page.locator("h1").click({ position: { x: 2, y: 2 } });
  await page.locator(".popup").waitFor({ state: "hidden" });
  assert.equal(await attribute(page, "aria-expanded"), "false");
});

test("a result can be clicked", async (t) => {
  const page = await open(t, site.web);
  await type(page, anyTable.path);
  await page.locator(OPTION).first().click();
  await page.waitForURL(`**/${anyTable.page}`);
});

test("Ctrl-Enter opens a result beside this page", async (t) => {
  const page = await open(t, site.web);
  await type(page, anyTable.path);
  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Control+Enter");
  const second = await opened;
  await second.waitForURL(`**/${anyTable.page}`);
  assert.equal(page.url(), site.web);
  assert.equal(await second.evaluate(() => window.opener), null);
});

test("Enter right after the last key needs no waiting for the index", async (t) => {
  const page = await open(t, site.web);
  await page.evaluate(([selector, text]) => {
    const input = document.querySelector(selector);
    input.focus();
    input.value = text;
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  }, [INPUT, anyTable.path]);
  await page.waitForURL(`**/${anyTable.page}`);
});

test("facets narrow the results down", async (t) => {
  const page = await open(t, site.web);
  const has = {
    db: (table) => table.database, owner: (table) => table.owner,
    tag: (table) => table.tags, type: (table) => table.source.kind,
  };
  for (const [facet, values] of Object.entries(has)) {
    const value = [values(anyTable)].flat()[0];
    await type(page, `${facet}:${value}`);
    await until(page, (selector) => document.querySelectorAll(selector).length > 0, OPTION);
    const found = await page.locator(OPTION).evaluateAll((options) => options.map((option) => option.href));
    for (const address of found) {
      const table = site.tables.find(({ page }) => address.startsWith(site.web + page));
      assert([values(table)].flat().includes(value), `${facet}:${value} found ${table.path}`);
    }
  }
  const deprecated = site.tables.filter((table) => table.deprecated);
  await type(page, "is:deprecated");
  await until(page, ([selector, count]) => document.querySelectorAll(selector).length === count, [OPTION, deprecated.length]);
  for (const text of await texts(page, OPTION)) assert.match(text, /deprecated/);
  const taking = site.tables.filter((table) => table.ingest).map(({ page }) => site.web + page);
  await type(page, "is:ingest");
  await until(page, ([selector, count]) => document.querySelectorAll(selector).length === count, [OPTION, taking.length]);
  assert.deepEqual((await page.locator(OPTION).evaluateAll((all) => all.map(({ href }) => href))).sort(), taking.sort());
});

test("nothing found: said so, with what was probably meant", async (t) => {
  const page = await open(t, site.web);
  await type(page, "qqqqqqzzzzzz");
  await until(page, () => /No match/.test(document.querySelector(".popup").textContent));
  assert.equal(await page.locator(OPTION).count(), 0);
  assert.equal(await attribute(page, "aria-expanded"), "false");
  // A typo beside a word that fits finds nothing, but the name is near.
  await type(page, `tag:${anyTable.tags[0]}x ${anyTable.name}`);
  const suggestion = page.locator(".popup button");
  await suggestion.waitFor();
  await suggestion.click();
  await until(page, (selector) => document.querySelectorAll(selector).length > 0, OPTION);
  assert.equal(await isFocused(page), true);
});

test("the page of results", async (t) => {
  const query = `db:${anyTable.database}`;
  const expected = site.tables.filter(({ database }) => database === anyTable.database).length;
  const page = await open(t, `${site.web}search.html?q=${encodeURIComponent(query)}`);
  await until(page, (count) => document.querySelectorAll("#hits a").length === count, expected);
  assert.equal(await page.locator(INPUT).inputValue(), query);
  assert.match(await page.locator("[role=status]#status").innerText(), new RegExp(`^${expected} results?`));
  await page.locator(INPUT).fill(`${query} ${anyTable.name}`);
  await until(page, (href) => document.querySelector("#hits a")?.href === href, site.web + anyTable.page);
  assert.equal(new URL(page.url()).searchParams.get("q"), `${query} ${anyTable.name}`, "the address can be shared");
  await page.keyboard.press("Enter");
  await until(page, () => document.activeElement.matches("#hits a:first-child"));
  await page.locator(INPUT).fill("qqqqqqzzzzzz");
  await until(page, () => /No match/.test(document.querySelector("#status").textContent));
});

test("all results are one click away", async (t) => {
  const page = await open(t, site.web);
  await type(page, "id");
  await page.locator(".popup a", { hasText: "All results" }).click();
  await page.waitForURL("**/search.html?q=id");
  await until(page, () => document.querySelectorAll("#hits a").length > 10);
});

test("an index that can't be loaded is no dead end", async (t) => {
  const page = await open(t, site.web);
  await page.route("**/search-index.js", (route) => route.abort());
  await page.locator(INPUT).pressSequentially("session");
  await until(page, () => /could not be loaded/.test(document.querySelector(".popup").textContent));
  await page.unroute("**/search-index.js");
  await type(page, "session");
  await until(page, (selector) => document.querySelectorAll(selector).length > 0, OPTION);
  expectProblem(page, /ERR_FAILED/);
});
