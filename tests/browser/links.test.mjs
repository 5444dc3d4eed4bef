// Every page as it is found: in a folder, and below the top of a host.

import assert from "node:assert/strict";
import { test } from "node:test";
import { build, expectProblem, open, texts, workspace } from "./support.mjs";

const site = await (await build()).serve();

for (const [place, start] of [["a folder", site.local], ["a sub-path", site.web]]) {
  test(`no page has a broken link or asks for anything else: ${place}`, async (t) => {
    const page = await open(t, `${start}index.html`);
    // Only a host shows the page of missing pages, and its links begin at the host.
    const pages = site.pages.filter((file) => place === "a sub-path" || file !== "404.html");
    const links = new Map();
    const ids = new Map();
    for (const file of pages) {
      await page.goto(start + file);
      const found = await page.evaluate(() => ({
        links: [...document.querySelectorAll("[href], [src], [action]")]
          .map((element) => element.getAttribute("href") ?? element.getAttribute("src") ?? element.getAttribute("action"))
          .map((address) => new URL(address, location.href).href),
        ids: [...document.querySelectorAll("[id]")].map(({ id }) => id),
        scripted: document.documentElement.classList.contains("js"),
      }));
      assert(found.scripted || file === "404.html", `${file} runs its script`);
      assert.equal(new Set(found.ids).size, found.ids.length, `${file} gives an id twice`);
      ids.set(start + file, new Set(found.ids));
      for (const link of found.links) links.set(link, [...links.get(link) ?? [], file]);
    }
    assert(pages.length > 50);
    const files = new Set(site.files.map((file) => start + file));
    for (const [link, from] of links) {
      const [address, fragment] = link.split("#");
      const target = decodeURI(address.split("?")[0]);
      if (!target.startsWith(start)) {
        assert.match(link, /^(https?:\/\/(?!127\.|localhost)|data:|mailto:)/, `${from} leads to ${link}`);
        continue;
      }
      assert(files.has(target), `${from} leads to ${link}`);
      if (fragment !== undefined && fragment !== "") {
        assert(ids.get(target)?.has(fragment) || ids.get(target)?.has(decodeURIComponent(fragment)), `${from} leads to ${link}`);
      }
    }
    // Pages that nothing leads to would be lost.
    for (const file of pages) {
      if (!["index.html", "404.html", "search.html", "changes.html"].includes(file)) assert(links.has(start + file), `nothing leads to ${file}`);
    }
  });
}

test("a missing page says so at any depth, and leads back", async (t) => {
  const page = await open(t, site.web);
  for (const missing of ["nothing.html", "neural/nothing.html", "neural/deep/er/nothing.html"]) {
    const answer = await page.goto(site.web + missing);
    assert.equal(answer.status(), 404);
    assert.match(await page.locator("h1").innerText(), /not found/);
    for (const link of await page.locator("a[href]").evaluateAll((all) => all.map((a) => a.href))) {
      if (link.startsWith(`${site.web}${missing}`)) continue; // "Skip to content"
      const path = link.slice(site.web.length);
      assert(link.startsWith(site.web) && site.files.includes(path || "index.html"), `${missing} leads to ${link}`);
    }
    await page.locator("#q").fill("spikes");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/search.html?q=spikes");
    await page.locator("#hits a").first().waitFor();
  }
  expectProblem(page, /status of 404/);
});

test("the way from the home page to a table and back needs no script", async (t) => {
  const page = await open(t, `${site.local}index.html`, { javaScriptEnabled: false });
  const [table] = site.tables;
  const follow = async (target) => {
    const links = page.locator("main a:visible");
    const addresses = await links.evaluateAll((all) => all.map((a) => a.href));
    await links.nth(addresses.indexOf(site.local + target)).click();
    await page.waitForURL(site.local + target);
  };
  await follow(`${table.database}/index.html`);
  await follow(table.page);
  await page.locator("a.brand").click();
  await page.waitForURL(`${site.local}index.html`);
});

test("links out of the site name the table, the file, the line and the commit", async (t) => {
  const source = `//! Signals.

use neurolake::prelude::*;

/// Spikes.
#[table(delta = "s3://lab/spikes", notebook("First steps", "https://notebooks.test/a?b=c&d=e"))]
pub struct Spikes;
`;
  const folder = workspace(
    { "lab/src/lib.rs": "pub mod signals;\n", "lab/src/signals.rs": source },
    `jupyterhub = "https://hub.test/jupyter/"\nrepository = "https://git.test/lab/lake"\n`,
  );
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const lake = await build(folder, "--commit", commit);
  const page = await open(t, `${lake.local}signals/spikes.html`);
  const href = (text) => page.locator("main a", { hasText: text }).evaluate((link) => link.href);
  assert.equal(await href("Run on JupyterHub"), "https://hub.test/jupyter/hub/user-redirect/lab?neurolake_table=signals.spikes");
  const [, file, line] = /^https:\/\/git\.test\/lab\/lake\/blob\/(.*)#L(\d+)$/.exec(await href("signals.rs"));
  assert.equal(file, `${commit}/lab/src/signals.rs`);
  assert.match(source.split("\n").slice(line - 1).join("\n"), /^(#\[table|pub struct Spikes)/);
  assert.equal(await href("First steps"), "https://notebooks.test/a?b=c&d=e");
  assert.equal(await page.locator("footer a", { hasText: "Source" }).getAttribute("href"), "https://git.test/lab/lake");

  const other = await build(folder, "--commit", commit, "--source-url", "{repository}/view/{file}?at={commit}&line={line}");
  await page.goto(`${other.local}signals/spikes.html`);
  assert.equal(await href("signals.rs"), `https://git.test/lab/lake/view/lab/src/signals.rs?at=${commit}&line=${line}`);
});

test("without a JupyterHub there is no button for it", async (t) => {
  const page = await open(t, site.web + site.tables[0].page);
  assert((await texts(page, "main a")).every((text) => !/Jupyter/.test(text)));
});
