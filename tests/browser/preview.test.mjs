// `catalog-gen serve`, as somebody meets it who edits declarations.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { build, expectProblem, open, preview, until, violations, workspace, write } from "./support.mjs";

const SIGNALS = "lab/src/signals.rs";
const GOOD = `//! Signals.

use neurolake::prelude::*;

/// Power of each channel.
#[table(delta = "s3://lab/power", partition_by(implant_id), example(implant_id = 7))]
pub struct Power {
    /// Which implant.
    pub implant_id: i32,
    /// Over the baseline.
    pub power: f32,
}

/// Spikes, one row each.
#[table(delta = "s3://lab/spikes")]
pub struct Spikes {
    /// When.
    pub ts: Timestamp,
}
`;
const lab = () => workspace({ "lab/src/lib.rs": "//! A lab.\n\npub mod signals;\n", [SIGNALS]: GOOD });
const edit = (folder, from, to) => {
  const text = fs.readFileSync(path.join(folder, SIGNALS), "utf8");
  assert(text.includes(from));
  write(folder, { [SIGNALS]: text.replace(from, to) });
};
const shows = (page, text) => until(page, (text) => document.body?.innerText.includes(text), text);
const overlay = (page) => page.locator("#nl-overlay");
/** Puts a mark on a page that a reload would remove. */
const mark = (page) => page.evaluate(() => { globalThis.unharmed = true; });
const isMarked = (page) => page.evaluate(() => globalThis.unharmed === true);
/** The live script has heard of an edit, and asked for this page. */
const heard = (page) => page.waitForResponse((response) => response.request().method() === "HEAD");

test("an edit shows on the page that it changes, and only there", async (t) => {
  const folder = lab();
  const { address } = await preview(folder);
  const page = await open(t, `${address}signals/power.html`);
  const other = await page.context().newPage();
  const connected = heard(other);
  await other.goto(`${address}signals/spikes.html`);
  await connected;
  await mark(page);
  await mark(other);
  const untouched = heard(other);
  edit(folder, "Over the baseline.", "Over the quiet baseline.");
  await shows(page, "Over the quiet baseline.");
  assert.equal(await isMarked(page), false);
  await untouched;
  assert.equal(await isMarked(other), true);
});

test("a mistake shows over the page with its code and place until it is mended", async (t) => {
  const folder = lab();
  const { address } = await preview(folder);
  const page = await open(t, `${address}signals/power.html`);
  await shows(page, "Over the baseline.");
  edit(folder, "delta = \"s3://lab/power\"", "delta = \"s3://lab/power\", ownre = \"<img src=x onerror='window.pwned=1'>\"");
  await overlay(page).waitFor();
  const text = await overlay(page).innerText();
  assert.match(text, /1 error in the declarations/);
  assert.match(text, /error\[NL\d{4}\]/);
  assert.match(text, /lab\/src\/signals\.rs:6:\d+/);
  assert.match(text, /ownre/);
  assert.match(text, /<img src=x/, "source is text");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await overlay(page).getAttribute("role"), "alert");
  assert.deepEqual(await violations(page), []);
  await shows(page, "Over the baseline.");

  // Other pages work, and say so too.
  await page.goto(`${address}signals/spikes.html`);
  await shows(page, "Spikes, one row each.");
  await overlay(page).waitFor();
  await page.locator("#q").fill("spikes");
  await page.locator("[role=option]").first().waitFor();

  await overlay(page).locator("button").click();
  assert.equal(await overlay(page).count(), 0, "it can be hidden");

  // One more brings it back.
  edit(folder, "pub ts: Timestamp", "pub ts: usize");
  await until(page, () => /2 errors/.test(document.getElementById("nl-overlay")?.innerText));

  write(folder, { [SIGNALS]: GOOD });
  await until(page, () => document.readyState === "complete" && !document.getElementById("nl-overlay"));
  await page.goto(`${address}signals/power.html`);
  await shows(page, "Over the baseline.");
  expectProblem(page, /status of 404/); // the page was gone meanwhile, though not from the screen
});

test("source that doesn't parse shows where", async (t) => {
  const folder = lab();
  const { address } = await preview(folder);
  const page = await open(t, `${address}index.html`);
  await shows(page, "signals");
  write(folder, { [SIGNALS]: GOOD.replace("pub struct Power {", "pub struct Power") });
  await overlay(page).waitFor();
  assert.match(await overlay(page).innerText(), /lab\/src\/signals\.rs:\d+:\d+/);
  write(folder, { [SIGNALS]: GOOD });
  await until(page, () => document.readyState === "complete" && !document.getElementById("nl-overlay"));
  await page.goto(`${address}signals/power.html`);
  await shows(page, "Over the baseline.");
});

test("a page waits for the table that is about to be declared", async (t) => {
  const folder = lab();
  const { address } = await preview(folder);
  const page = await open(t, `${address}signals/units.html`);
  await shows(page, "Page not found");
  write(folder, { [SIGNALS]: `${GOOD}\n/// Sorted units.\n#[table(delta = "s3://lab/units")]\npub struct Units;\n` });
  await shows(page, "Sorted units.");
  assert.equal(await page.locator("h1").getAttribute("data-name"), "signals.units");
  write(folder, { [SIGNALS]: GOOD });
  await shows(page, "Page not found");
  expectProblem(page, /status of 404/);
});

test("a restarted preview finds the pages that are open", async (t) => {
  const folder = lab();
  const first = await preview(folder);
  const page = await open(t, `${first.address}signals/power.html`);
  await shows(page, "Over the baseline.");
  const missed = page.waitForEvent("console");
  await first.stop();
  await missed; // a try to come back while there is nobody
  edit(folder, "Over the baseline.", "Over the new baseline.");
  await preview(folder, new URL(first.address).port);
  await shows(page, "Over the new baseline.");
  expectProblem(page, /ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED|EMPTY_RESPONSE|CONNECTION_RESET)/);
});

test("a built site knows nothing of the preview", async (t) => {
  const site = await build(lab());
  assert(!site.files.some((file) => file.includes("live")));
  for (const file of site.pages) assert(!fs.readFileSync(path.join(site.folder, file), "utf8").includes("live.js"), file);
  const page = await open(t, `${site.local}index.html`);
  assert(!page.requests.some((address) => address.includes("live")));
});
