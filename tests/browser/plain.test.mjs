// Without script.

import assert from "node:assert/strict";
import { test } from "node:test";
import { build, open } from "./support.mjs";

const site = await (await build()).serve();
const PLAIN = { javaScriptEnabled: false };

const paths = (fields, prefix = "") => fields.flatMap(({ name, ...field }) => {
  const path = prefix + name;
  return [path, ...paths(nested(field.type ?? field.data_type), `${path}.`)];
});
const nested = (type) => {
  if (!type || typeof type === "string") return [];
  if (Array.isArray(type.fields)) return type.fields;
  return Object.values(type).flatMap((inner) => (typeof inner === "object" ? nested(inner) : []));
};

test("the home page leads to every table in at most two steps", async (t) => {
  const page = await open(t, site.web, PLAIN);
  const links = () => page.locator("main a:visible").evaluateAll((all) => all.map((a) => a.href));
  const near = new Set(await links());
  for (const { database } of new Set(site.tables)) {
    assert(near.has(`${site.web}${database}/index.html`), database);
  }
  for (const { name } of site.catalog.databases) {
    await page.goto(`${site.web}${name}/index.html`);
    for (const link of await links()) near.add(link);
  }
  for (const table of site.tables) assert(near.has(site.web + table.page), table.path);
});

test("every table is complete", async (t) => {
  const page = await open(t, site.web, PLAIN);
  let drawn = 0;
  for (const table of site.tables) {
    await page.goto(site.web + table.page);
    const rows = await page.locator("#schema tbody tr:visible").evaluateAll((all) => all.map((row) => row.id.slice(2)));
    const expected = paths(table.columns ?? []);
    for (const path of expected) assert(rows.includes(path), `${table.path} shows ${path}: ${rows}`);

    const clients = page.locator(".snippets details");
    assert(await clients.count() > 0 || table.source.kind === "function", table.path);
    assert(await clients.count() > 0, table.path);
    assert.equal(await clients.first().getAttribute("open"), "");
    for (const client of await clients.all()) {
      const code = client.locator("pre");
      if (!await code.isVisible()) await client.locator("summary").click();
      await code.waitFor();
      assert((await code.innerText()).trim());
    }

    const lineage = (await page.locator("#lineage .flow li:visible").allInnerTexts()).map((text) => text.trim());
    for (const input of table.inputs ?? []) {
      assert(lineage.includes(`${input.database}.${input.table}`), `${table.path} reads ${JSON.stringify(input)}: ${lineage}`);
      drawn += 1;
    }
    const readers = site.tables.filter(({ inputs }) => inputs?.some((input) => `${input.database}.${input.table}` === table.path));
    for (const reader of readers) assert(lineage.includes(reader.path), `${table.path} is read by ${reader.path}: ${lineage}`);

    // Buttons without their script would do nothing.
    for (const button of await page.locator("button:visible").all()) {
      assert.notEqual(await button.getAttribute("popovertarget"), null, await button.evaluate((e) => e.outerHTML));
    }
  }
  assert(drawn > 20);
});

test("the search form says what to do instead", async (t) => {
  const page = await open(t, site.web, PLAIN);
  await page.locator("#q").fill("spikes");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/search.html?q=spikes");
  const advice = page.locator("noscript p");
  await advice.waitFor();
  assert.match(await advice.innerText(), /needs JavaScript/);
  await advice.locator("a").first().click();
  await page.waitForURL("**/browse.html");
});

test("the tables beside the page can be reached on a phone", async (t) => {
  const page = await open(t, site.web + site.tables[0].page, { ...PLAIN, viewport: { width: 390, height: 844 } });
  assert.equal(await page.locator("#nav").isVisible(), false);
  await page.locator("button.menu").click();
  await page.locator("#nav").waitFor();
  await page.locator("#nav a", { hasText: site.tables.at(-1).database }).click();
  await page.waitForURL(`**/${site.tables.at(-1).database}/index.html`);
});
