// Every generated file against the types that Grafana publishes, and against each other. The variable
// GRAFANA_FILES names the folder that generate.mjs made.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { REFUSED, UNITS } from "./catalogs.mjs";

// Grafana's formats ask a browser for its language.
globalThis.navigator ??= { language: "en", languages: ["en"] };
const { getValueFormats } = createRequire(import.meta.url)("@grafana/data");

const here = fileURLToPath(new URL(".", import.meta.url));
const UID = /^[a-zA-Z0-9_-]{1,40}$/;

const all = (folder) => fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
  .sort();

/** The files of one catalog. */
function read(name) {
  const folder = path.join(process.env.GRAFANA_FILES, name);
  const grafana = path.join(folder, "site/grafana");
  const yaml = (kind) => parse(fs.readFileSync(`${grafana}/provisioning/${kind}/${name}.yaml`, "utf8"));
  return {
    name,
    grafana,
    catalog: JSON.parse(fs.readFileSync(`${folder}/catalog.json`, "utf8")),
    dashboards: all(`${grafana}/dashboards`).map((file) => ({
      file: path.relative(`${grafana}/dashboards`, file),
      dashboard: JSON.parse(fs.readFileSync(file, "utf8")),
    })),
    datasources: yaml("datasources"),
    providers: yaml("dashboards"),
    alerts: yaml("alerting"),
  };
}
const lakes = ["demo", "hostile"].map(read);
const panels = (dashboard) => dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const rules = (lake) => lake.alerts.groups.flatMap((group) => group.rules);

/** Which of the values tsc refuses, each as a literal of its own: nothing is cast. */
function refused(values) {
  const folder = path.join(here, "generated");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  values.forEach(({ type, value }, at) => fs.writeFileSync(
    path.join(folder, `value_${at}.ts`),
    `import type { ${type} } from "../strict";\nexport const value: ${type} = ${JSON.stringify(value, null, 1)};\n`,
  ));
  const { stdout, stderr } = spawnSync(path.join(here, "node_modules/.bin/tsc"), ["--pretty", "false"], { cwd: here, encoding: "utf8" });
  fs.rmSync(folder, { recursive: true });
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => /error TS/.test(line));
  const wrong = new Map();
  for (const line of lines) {
    const at = /value_(\d+)\.ts/.exec(line)?.[1];
    assert(at, `tsc cannot work: ${line}`);
    wrong.set(Number(at), line);
  }
  return wrong;
}

const typed = lakes.flatMap((lake) => [
  ...lake.dashboards.map(({ file, dashboard }) => ({ type: "Dashboard", what: file, value: dashboard })),
  { type: "DataSources", what: `data sources of ${lake.name}`, value: lake.datasources },
  { type: "Providers", what: `providers of ${lake.name}`, value: lake.providers },
  { type: "Alerts", what: `alerts of ${lake.name}`, value: lake.alerts },
]);

/** Mistakes that must be seen, made in a right file. */
const mistakes = {
  Dashboard: {
    "a height that is text": (d) => { d.panels[0].gridPos.h = "nine"; },
    "a tooltip by name": (d) => { d.graphTooltip = "zero"; },
    "a tooltip that is not there": (d) => { d.graphTooltip = 3; },
    "an unknown key": (d) => { d.titel = d.title; },
    "an unknown kind of panel": (d) => { d.panels[0].type = "graph"; },
    "an unknown key of a panel": (d) => { d.panels[0].datasourc = {}; },
    "no options": (d) => { d.panels[0].options = null; },
    "an unknown option": (d) => { d.panels[0].options.legends = {}; },
    "an unknown place of the legend": (d) => { d.panels[0].options.legend.placement = "left"; },
    "an unknown mode of colour": (d) => { d.panels[0].fieldConfig.defaults.color = { mode: "rainbow" }; },
    "an unknown style": (d) => { d.panels[0].fieldConfig.defaults.custom.drawStyle = "bar"; },
    "an unknown look": (d) => { d.panels[0].fieldConfig.defaults.custom.lineWidht = 1; },
    "an unknown override": (d) => { d.panels[0].fieldConfig.overrides.push({ matcher: { id: "byName", options: "x" }, properties: [{ id: "custom.fillUnder", value: 1 }] }); },
    "an override of another type": (d) => { d.panels[0].fieldConfig.overrides.push({ matcher: { id: "byName", options: "x" }, properties: [{ id: "custom.lineWidth", value: "thin" }] }); },
    "a query without a statement": (d) => { delete d.panels[0].targets[0].rawSql; },
    "a table drawn over time": (d) => { d.panels[0].targets[0].format = "table"; },
    "another data source": (d) => { d.panels[0].datasource.type = "postgres"; },
    "an unknown kind of variable": (d) => { d.templating.list.push({ name: "x", type: "choice" }); },
    "a variable without a name": (d) => { d.templating.list.push({ type: "query" }); },
    "a link that opens nowhere": (d) => { delete d.links[0].targetBlank; },
    "no version of the schema": (d) => { delete d.schemaVersion; },
  },
  DataSources: {
    "a password": (f) => { f.datasources[0].secureJsonData.password = "secret"; },
    "an unknown mode of encryption": (f) => { f.datasources[0].jsonData.sslmode = "prefer"; },
    "a former name of the plugin": (f) => { f.datasources[0].type = "postgres"; },
  },
  Providers: { "dashboards without folders": (f) => { f.providers[0].options.foldersFromFilesStructure = false; } },
  Alerts: {
    "an unknown state": (f) => { f.groups[0].rules[0].noDataState = "Panic"; },
    "a threshold without a number": (f) => { f.groups[0].rules[0].data[1].model.conditions[0].evaluator.params = []; },
    "a label that is no text": (f) => { f.groups[0].rules[0].labels.table = 1; },
  },
};

test("Grafana's types take every file, and refuse every mistake", () => {
  const values = [...typed];
  for (const [type, changes] of Object.entries(mistakes)) {
    for (const [what, change] of Object.entries(changes)) {
      const value = structuredClone(typed.find((right) => right.type === type).value);
      change(value);
      values.push({ type, what, value, isWrong: true });
    }
  }
  const wrong = refused(values);
  for (const [at, { what, isWrong }] of values.entries()) {
    assert.equal(wrong.has(at), isWrong ?? false, `${what}: ${wrong.get(at) ?? "was taken"}`);
  }
  assert(typed.length > 30, `only ${typed.length} files`);
});

for (const lake of lakes) {
  test(`${lake.name}: what files name is there`, () => {
    const [source] = lake.datasources.datasources;
    assert.match(source.uid, UID);
    const uids = new Set();
    for (const { file, dashboard } of lake.dashboards) {
      assert.match(dashboard.uid, UID, file);
      assert(!uids.has(dashboard.uid), `${file} has the identifier of another`);
      uids.add(dashboard.uid);
      const named = JSON.stringify(dashboard).match(/"datasource":\{[^}]*\}/g);
      assert(named.length > 0, file);
      for (const text of named) assert.deepEqual(JSON.parse(`{${text}}`).datasource, { type: source.type, uid: source.uid }, file);
      const ids = panels(dashboard).map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, `${file}: panels share a number`);
    }
    const ruleUids = rules(lake).map(({ uid }) => uid);
    assert.equal(new Set(ruleUids).size, ruleUids.length);
    for (const rule of rules(lake)) {
      assert.match(rule.uid, UID);
      for (const { datasourceUid } of rule.data) assert(["__expr__", source.uid].includes(datasourceUid));
      assert.equal(rule.data.filter(({ refId }) => refId === rule.condition).length, 1);
      if (rule.dashboardUid) {
        const shown = lake.dashboards.find(({ dashboard }) => dashboard.uid === rule.dashboardUid);
        assert(shown.dashboard.panels.some(({ id }) => id === rule.panelId), rule.title);
      }
    }
  });

  test(`${lake.name}: nothing secret, and panels don't lie over each other`, () => {
    const text = all(lake.grafana).map((file) => fs.readFileSync(file, "utf8")).join("");
    assert.equal(text.match(/password: (?!\$NEUROLAKE_GRAFANA_PASSWORD\n)/g), null);
    for (const { file, dashboard } of lake.dashboards) {
      for (const group of [dashboard.panels, ...dashboard.panels.map((panel) => panel.panels ?? [])]) {
        for (const [at, { gridPos: a }] of group.entries()) {
          assert(a.x >= 0 && a.x + a.w <= 24, file);
          for (const { gridPos: b } of group.slice(at + 1)) {
            const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
            assert(apart, `${file}: ${JSON.stringify([a, b])}`);
          }
        }
      }
    }
  });
}

test("tables with a time have a dashboard, and no others", () => {
  const [demo, hostile] = lakes;
  const titles = new Set(demo.dashboards.map(({ dashboard }) => dashboard.title));
  for (const database of demo.catalog.databases) {
    for (const table of database.tables) {
      const hasTime = (table.columns ?? []).some(({ type }) => type === "timestamp")
        || (table.partition_by ?? []).some(({ type }) => type === "date");
      assert.equal(titles.has(`${database.name}.${table.name}`), hasTime && !table.hidden, table.name);
    }
  }
  assert.deepEqual(hostile.dashboards.map(({ dashboard }) => dashboard.title), [
    "order.by_region", "order.counters", "order.flags", "order.lists", "order.numbers",
    "order.späte_tabelle_mit_einem_sehr_langen_namen_für_grafana", "order.texts", "order.units",
  ]);
});

test("no statement holds a name that Grafana would change", () => {
  const [, hostile] = lakes;
  let statements = 0;
  for (const { dashboard } of hostile.dashboards) {
    for (const panel of panels(dashboard)) {
      assert(!REFUSED.includes(panel.title), panel.title);
      for (const { rawSql } of panel.targets ?? []) {
        const own = rawSql.replaceAll(/\$__(timeFilter|timeGroupAlias)\(/g, "").replaceAll("$__interval", "").replaceAll("${region:sqlstring}", "");
        assert(!own.includes("$") && !own.includes("[["), rawSql);
        statements += 1;
      }
    }
  }
  assert(statements > 100, `only ${statements} statements`);
});

test("personal data is not shown", () => {
  for (const lake of lakes) {
    for (const database of lake.catalog.databases) {
      for (const table of database.tables) {
        const shown = lake.dashboards.find(({ dashboard }) => dashboard.title === `${database.name}.${table.name}`);
        const secrets = (table.columns ?? []).filter(({ pii }) => pii).map(({ name }) => name);
        const sql = panels(shown?.dashboard ?? { panels: [] }).flatMap(({ targets }) => targets ?? []).map(({ rawSql }) => rawSql).join("\n");
        for (const name of secrets) assert(!new RegExp(`\\b${name}\\b`).test(sql), `${table.name}.${name}`);
      }
    }
  }
});

test("Grafana knows every unit", () => {
  const known = new Set(getValueFormats().flatMap(({ submenu }) => submenu.map(({ value }) => value)));
  const unit = (panel) => panel.fieldConfig?.defaults.unit;
  for (const { dashboards } of lakes) {
    for (const { dashboard } of dashboards) {
      for (const panel of panels(dashboard).filter(unit)) assert(known.has(unit(panel)) || unit(panel).startsWith("suffix:"), unit(panel));
    }
  }
  const { dashboard } = lakes[1].dashboards.find(({ file }) => file === "order/units.json");
  const named = panels(dashboard).filter(({ title }) => title.startsWith("in_"));
  assert.deepEqual(named.filter((panel) => unit(panel).startsWith("suffix:")), []);
  assert.equal(new Set(named.map(unit)).size, UNITS.length);
});
