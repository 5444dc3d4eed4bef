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
  for (const { name } of site.catalog.databases) {
    assert(near.has(`${site.web}${name}/index.html`), name);
  }
  for (const { name } of site.catalog.databases) {
    await page.goto(`${site.web}${name}/index.html`);
    for (const link of await links()) near.add(link);
  }
  for (const table of site.tables) assert(near.has(site.web + table.page), table.path);
});

test("every table is complete", async (t) => {
  const page = await open(t, site.web, PLAIN);
  let edges = 0;
  for (const table of site.tables) {
    await page.goto(site.web + table.page);
    const shown = await page.evaluate(() => {
      const all = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
      return {
        rows: all("#schema tbody tr").map((row) => decodeURIComponent(row.id.slice(2))),
        lineage: all("#lineage .flow li").map((item) => item.innerText.trim()),
        clients: all(".snippets details > summary").length,
        code: all(".snippets pre").map((code) => code.innerText.trim()),
        // Buttons without their script would do nothing.
        buttons: all("button:not([popovertarget])").map((button) => button.outerHTML),
      };
    });
    for (const path of paths(table.columns ?? [])) assert(shown.rows.includes(path), `${table.path} shows ${path}: ${shown.rows}`);
    const readers = site.tables.filter(({ inputs }) => inputs?.some((input) => `${input.database}.${input.table}` === table.path));
    const inputs = (table.inputs ?? []).map((input) => `${input.database}.${input.table}`);
    const neighbours = [...inputs, ...readers.map(({ path }) => path)];
    for (const neighbour of neighbours) assert(shown.lineage.includes(neighbour), `${table.path} shows ${neighbour}: ${shown.lineage}`);
    edges += neighbours.length;
    assert(shown.clients > 0, table.path);
    assert.equal(shown.code.length, table.ingest ? 2 : 1, "the first client of each group is open");
    for (const code of shown.code) assert(code);
    assert.deepEqual(shown.buttons, [], table.path);
  }
  assert(edges > 40);
});

test("every client's code can be opened", async (t) => {
  const page = await open(t, site.web, PLAIN);
  for (const table of new Map(site.tables.map((table) => [table.source.kind, table])).values()) {
    await page.goto(site.web + table.page);
    for (const client of await page.locator(".snippets details").all()) {
      if (await client.getAttribute("open") === null) await client.locator("summary").click();
      assert((await client.locator("pre:visible").innerText()).trim(), table.path);
    }
  }
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
