// Text that wants to be markup, script, an address or a template stays text, wherever it stands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { build, open, preview, texts, until, workspace } from "./support.mjs";

const IMAGE = `<img src=x onerror='window.pwned=1'>`;
const SCRIPT = "</script><script>window.pwned=1</script>";
const TEMPLATE = "{{ 7 * 7 }}{% raw %}";
const QUOTES = `it's "100%" \`tick\` \${x} \\ #?&/..`;
const BREAK = "a\u2028b";
const ALL = [IMAGE, SCRIPT, TEMPLATE, QUOTES, BREAK];
const rust = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
/** Markdown in which the text is code, and so means itself. */
const docs = ALL.filter((text) => text !== BREAK).map((text) => `#![doc = ${rust(text)}]`).join("\n");

const column = (text, at) => `
    #[doc = ${rust(`Text ${text} and [a link](javascript:window.pwned=1) <b onclick="window.pwned=1">bold</b> ![picture](https://elsewhere.test/x.png)`)}]
    #[column(name = ${rust(text)}, unit = ${rust(text)}, renamed_from = ${rust(`was ${text}`)})]
    pub field_${at}: String,`;
const folder = workspace({
  "lab/src/lib.rs": `${docs}\npub mod hostile;\n`,
  "lab/src/hostile.rs": `${docs}
use neurolake::prelude::*;

#[doc = ${rust(`Summary ${IMAGE} ${SCRIPT} ${TEMPLATE}\n\n[j](javascript:window.pwned=1) [J](JaVaScRiPt:window.pwned=1) [d](data:text/html,<script>window.pwned=1</script>)\n<javascript:window.pwned=1>\n\n${SCRIPT}\n\n    ${SCRIPT}\n\n| ${IMAGE} |\n| - |\n| ${TEMPLATE} |\n`)}]
#[doc(alias = ${rust(IMAGE)})]
#[table(
    delta = ${rust(`s3://lab/${IMAGE.replaceAll(" ", "+")}`)},
    owner = ${rust(IMAGE)},
    tags(${ALL.map(rust).join(", ")}),
    partition_by(name),
    ingest,
    example(name = ${rust(ALL.join(" "))}),
    notebook(${rust(SCRIPT)}, ${rust(`https://example.org/"><script>window.pwned=1</script>`)}),
)]
#[deprecated(since = ${rust(IMAGE)}, note = ${rust(`Use ${IMAGE} ${SCRIPT}`)})]
pub struct Power {
    /// Which.
    pub name: String,${ALL.map(column).join("")}
}

/// A view.
#[table(sql = ${rust(`select name, '${SCRIPT} ${IMAGE.replaceAll("'", "''")} ${TEMPLATE}' as x from hostile.power`)})]
pub struct View;
`,
}, `title = ${rust(`Lake ${IMAGE} ${SCRIPT} ${TEMPLATE}`)}\nmissing-docs = "allow"\n`);

const site = await (await build(folder)).serve();
const table = site.tables.find(({ name }) => name === "power");
assert.equal(table.columns.length, ALL.length + 1);

/** Nothing of the text became part of the page. */
async function isHarmless(page, where) {
  const found = await page.evaluate(() => ({
    pwned: globalThis.pwned,
    markup: [...document.querySelectorAll("body script:not([src]), img, iframe, main b[onclick], main style")].map((e) => e.outerHTML),
    handlers: [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some(({ name }) => name.startsWith("on"))).map((e) => e.outerHTML),
    addresses: [...document.querySelectorAll("[href], [src], [action]")]
      .map((e) => new URL(e.getAttribute("href") ?? e.getAttribute("src") ?? e.getAttribute("action"), location.href).protocol)
      .filter((protocol) => !["http:", "https:", "file:"].includes(protocol)),
  }));
  assert.deepEqual(found, { pwned: undefined, markup: [], handlers: [], addresses: [] }, where);
}

test("nothing happens on any page, and the text can be read", async (t) => {
  const page = await open(t, site.web);
  for (const file of site.pages.filter((file) => file !== "404.html")) {
    await page.goto(site.web + file);
    await isHarmless(page, file);
    const title = await page.title();
    for (const text of [IMAGE, SCRIPT, TEMPLATE]) assert(title.includes(text), `${file} is called ${title}`);
  }
  await page.goto(site.web + table.page);
  const rows = (await texts(page, "#schema tbody th > a")).map((text) => text.replaceAll("\n", "\u2028"));
  assert.deepEqual(rows, table.columns.map(({ name }) => name.replace(/ +/g, " ")));
  const body = await page.locator("body").innerText();
  assert(!body.includes("49"), "no template ran");
  for (const text of [IMAGE, SCRIPT, TEMPLATE]) assert(body.split(text).length > 4, text);
});

test("every link still leads somewhere", async (t) => {
  const page = await open(t, site.web);
  for (const file of site.pages.filter((file) => file !== "404.html")) {
    await page.goto(site.web + file);
    const links = await page.locator("a[href]").evaluateAll((all) => all.map((a) => new URL(a.getAttribute("href"), location.href).href));
    for (const link of links.filter((link) => link.startsWith(site.web))) {
      const target = decodeURIComponent(new URL(link).pathname.slice(new URL(site.web).pathname.length));
      assert(site.files.includes(target), `${file} leads to ${link}`);
    }
  }
  await page.goto(site.web + table.page);
  for (const [at, { name }] of table.columns.entries()) {
    await page.locator("#schema tbody th > a").nth(at).click();
    await page.locator("#schema tbody tr").nth(at).and(page.locator(":target")).waitFor({ timeout: 5_000 })
      .catch(() => assert.fail(`the address of column ${name} leads nowhere`));
  }
});

for (const [place, start] of [["the web", site.web], ["a folder", site.local]]) {
  test(`search shows names as they are, and finds their rows: ${place}`, async (t) => {
    const page = await open(t, `${start}index.html`);
    for (const { name } of table.columns) {
      await page.goto(`${start}index.html`);
      await page.locator("#q").fill(name);
      await page.locator("[role=option]").first().waitFor();
      await isHarmless(page, name);
      const code = await page.locator("[role=option] code").first().evaluate((code) => code.textContent);
      assert.equal(code, name);
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.hash !== "");
      assert.equal(await page.locator("tr:target th > a").evaluate((a) => a.textContent), name);
    }
  });
}

test("the page of results takes any text from its address", async (t) => {
  const page = await open(t, site.web);
  for (const text of [...ALL, `"><svg onload=window.pwned=1>`, "%", "%E0%A4%A", "owner:<b>", "a".repeat(5000)]) {
    await page.goto(`${site.web}search.html?q=${encodeURIComponent(text)}`);
    await until(page, () => document.querySelector("#status").textContent !== "");
    await isHarmless(page, text);
    assert.equal(await page.locator("#q").inputValue(), text.trim());
  }
  await page.goto(`${site.web}search.html?q=%E0%A4%A`);
  await until(page, () => document.querySelector("#status").textContent !== "");
});

test("facets of any text can be typed and browsed", async (t) => {
  const page = await open(t, site.web);
  for (const tag of [IMAGE, "a\u2028b"]) {
    await page.goto(`${site.web}browse.html`);
    const link = page.locator("#tags a", { hasText: tag === IMAGE ? "<img" : /^a\s*b$/ });
    await link.click();
    await page.locator("h1").waitFor();
    assert.equal(await page.locator("table.tables tbody tr").count(), 1);
    await isHarmless(page, tag);
  }
});

test("hostile code is copied as it is shown", async (t) => {
  const page = await open(t, site.web + table.page, { permissions: ["clipboard-read", "clipboard-write"] });
  const groups = await page.locator(".snippets").all();
  assert.equal(groups.length, 2);
  for (const group of groups) {
    for (const tab of await group.locator("[role=tab]").all()) {
      await tab.click();
      await group.locator("button.copy").click();
      await group.locator("button.copy.done").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(copied, await group.locator("pre:visible").evaluate((code) => code.textContent));
      // What sends in Rust takes the row from its caller.
      const hasRow = await tab.getAttribute("id") !== "tab-ingest-rust";
      // In an address it is encoded.
      const isThere = copied.includes("window.pwned=1") || copied.includes("window.pwned%3D1");
      assert.equal(isThere, hasRow, "the example value is there");
    }
  }
  await isHarmless(page, "copying");
});

test("the preview shows the same", async (t) => {
  const { address } = await preview(folder);
  const page = await open(t, `${address}${table.page}`);
  await page.locator("h1").waitFor();
  await isHarmless(page, "the preview");
});
