// Accessibility and layout of every kind of page, in both themes, on a desk and on a phone.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { build, open, repository, temporary, until, violations } from "./support.mjs";

/** A site whose page of changes has every kind of change. */
async function changed() {
  const { catalog } = await build();
  const tables = catalog.databases.flatMap(({ tables }) => tables).filter(({ columns }) => columns?.length > 4);
  const [added, column, type, docs, gone] = tables;
  for (const database of catalog.databases) database.tables = database.tables.filter((table) => table !== added);
  column.columns.splice(1, 1);
  type.columns[0].type = "binary";
  docs.docs = "Something else.\n\nAnd more.";
  docs.owner = "somebody-else";
  gone.columns.push({ ...gone.columns[0], name: "a_column_with_a_rather_long_name_that_was_removed_last_week" });
  catalog.databases[0].tables.push({ ...gone, name: "removed" });
  const old = path.join(temporary(), "catalog.json");
  fs.writeFileSync(old, JSON.stringify(catalog));
  return build(repository, "--since", old);
}
const site = await (await changed()).serve();

/** Pages that differ in nothing but their text are of one kind. */
function kind(file) {
  const table = site.tables.find(({ page }) => page === file);
  if (table) {
    return ["table", table.source.kind, table.columns ? "columns" : "bare", table.deprecated ? "deprecated" : "", table.ingest ? "ingest" : "",
      /struct/.test(JSON.stringify(table.columns)) ? "nested" : ""].join(" ");
  }
  if (!file.includes("/")) return file;
  if (file.endsWith("/index.api.html")) return "operations";
  return file.endsWith("/index.html") ? "database" : path.dirname(file);
}
const kinds = [...new Map([...site.pages].reverse().map((file) => [kind(file), file]))].reverse();

/** What opens over a page. */
const states = {
  "results": async (page) => {
    await page.locator("#q").fill("session");
    await page.locator("[role=option]").first().waitFor();
    await page.locator("#q").press("ArrowDown");
  },
  "no results": async (page) => {
    await page.locator("#q").fill(`tag:${site.tables[0].tags[0]}x ${site.tables[0].name}`);
    await page.locator(".popup button").waitFor();
  },
  "help": async (page) => {
    await page.locator("button.help").click();
    await page.locator("dialog[open]").waitFor();
  },
  "copied": async (page) => {
    await page.locator(".snippets button.copy").first().click();
    await page.locator(".copy.done").first().waitFor();
  },
  "a column": async (page) => {
    await page.locator("table.schema th a").first().click();
    await page.locator("tr:target").waitFor();
  },
  "focus on the skip link": async (page) => {
    await page.keyboard.press("Tab");
    await page.locator(".skip:focus").waitFor();
  },
};
const narrow = { "the menu": async (page) => {
  await page.locator("button.menu").click();
  await page.locator("#nav:popover-open").waitFor();
} };

/** How far the page can be pushed sideways, and what sticks out. */
const overflow = (page) => page.evaluate(() => {
  const over = document.documentElement.scrollWidth - innerWidth;
  if (over <= 0) return null;
  const out = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5);
  return `${over} px: ${out.slice(-3).map((element) => element.outerHTML.slice(0, 120)).join(" | ")}`;
});

test("the kinds of pages are known", () => {
  const names = kinds.map(([name]) => name);
  for (const name of ["index.html", "search.html", "browse.html", "changes.html", "deprecated.html", "404.html", "api.html", "operations", "database", "owners", "tags", "formats"]) {
    assert(names.includes(name), `${name} is among ${names.join(", ")}`);
  }
  for (const source of ["delta", "parquet", "postgres", "sheet", "sql", "function"]) {
    assert(names.some((name) => name.startsWith(`table ${source}`)), source);
  }
  assert(names.some((name) => /deprecated/.test(name) && name.startsWith("table")));
  assert(names.some((name) => /nested/.test(name)));
  assert(names.some((name) => /ingest/.test(name)));
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`no violation: ${colorScheme}, ${width} px`, async (t) => {
      const page = await open(t, site.web, { colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" });
      const found = [];
      for (const [name, file] of kinds) {
        await page.goto(site.web + file);
        if (file === "search.html") {
          await page.locator("#q").fill("session");
          await page.locator("#hits a").first().waitFor();
        }
        for (const violation of await violations(page)) found.push(`${name} (${file}): ${violation}`);
      }
      const table = site.tables.find(({ columns }) => columns?.length > 12);
      for (const [name, start] of Object.entries({ ...states, ...(width < 600 ? narrow : {}) })) {
        for (const file of name === "results" ? ["index.html", table.page] : [table.page]) {
          await page.goto("about:blank"); // an address that differs in its fragment only would not load
          await page.goto(site.web + file);
          await start(page);
          for (const violation of await violations(page)) found.push(`${file} with ${name}: ${violation}`);
          const over = await overflow(page);
          if (over) found.push(`${file} with ${name} is too wide by ${over}`);
        }
      }
      assert.deepEqual(found, []);
    });
  }
}

test("no page is wider than its window", async (t) => {
  const page = await open(t, site.web, { reducedMotion: "reduce" });
  const found = [];
  for (const file of site.pages) {
    await page.goto(site.web + file);
    for (const width of [1280, 390, 320]) {
      await page.setViewportSize({ width, height: 800 });
      await until(page, (width) => innerWidth === width, width);
      const over = await overflow(page);
      if (over) found.push(`${file} at ${width} px by ${over}`);
    }
  }
  assert.deepEqual(found, []);
});

test("the dialog of keys keeps the focus and gives it back", async (t) => {
  const page = await open(t, site.web + site.tables[0].page);
  await page.locator("button.help").focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  assert.equal(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)), true);
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement.matches("button.help")), true);
  await page.keyboard.press("?");
  await page.locator("dialog[open]").waitFor();
  await page.locator("dialog button").click();
  await page.locator("dialog[open]").waitFor({ state: "hidden" });
});
