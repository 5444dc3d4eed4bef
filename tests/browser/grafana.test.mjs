// The page of a table leads to its dashboard: as a file, and in Grafana where its address is known.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { build, open, violations, workspace } from "./support.mjs";

const lake = (settings) => workspace({
  "lab/src/lib.rs": "//! A lab.\npub mod devices;\n",
  "lab/src/devices.rs": `//! Devices.
use neurolake::prelude::*;

/// Reports.
#[table(delta = "s3://lab/health", owner = "devices")]
pub struct Health {
    /// When.
    pub ts: Timestamp,
    /// How warm.
    #[column(unit = "degC")]
    pub temperature: f32,
}

/// Slots have no time.
#[table(delta = "s3://lab/slots", owner = "devices")]
pub struct Slots {
    /// Which.
    pub slot: i16,
}
`,
}, settings);
const DOOR = 'postgres = "lake.example.org:5432"\n';
const site = await (await build(lake(`${DOOR}grafana = "https://grafana.example.org/base/"\n`))).serve();
const facts = (page) => page.locator(".facts > div", { has: page.locator("dt", { hasText: /^Grafana$/ }) });

test("its facts name the dashboard, the file and how to set it up", async (t) => {
  const page = await open(t, `${site.web}devices/health.html`);
  const links = await facts(page).locator("a").evaluateAll((all) => all.map((a) => [a.textContent, a.href]));
  assert.deepEqual(links, [
    ["Dashboard", "https://grafana.example.org/base/d/lab-devices-health"],
    ["Download", `${site.web}grafana/dashboards/devices/health.json`],
    ["Set up", `${site.web}grafana/README.md`],
  ]);
  const downloading = page.waitForEvent("download");
  await facts(page).getByText("Download").click();
  const download = await downloading;
  const text = fs.readFileSync(await download.path(), "utf8");
  assert.equal(text, fs.readFileSync(path.join(site.folder, "grafana/dashboards/devices/health.json"), "utf8"));
  assert.equal(JSON.parse(text).uid, "lab-devices-health");
  assert(site.files.includes("grafana/README.md"));
});

test("a table without a time, and a lake without a door, name nothing", async (t) => {
  const page = await open(t, `${site.web}devices/slots.html`);
  assert.equal(await facts(page).count(), 0);
  const bare = await build(lake(""));
  assert.equal(await facts(await open(t, `${bare.local}devices/health.html`)).count(), 0);
  assert.deepEqual(bare.files.filter((file) => file.startsWith("grafana")), []);
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`it can be read and fits: ${colorScheme}, ${width} px`, async (t) => {
      const page = await open(t, `${site.web}devices/health.html`, { colorScheme, viewport: { width, height: 800 } });
      assert.deepEqual(await violations(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    });
  }
}
