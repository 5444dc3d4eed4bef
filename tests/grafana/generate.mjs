// Makes the files of every catalog in a folder: `node generate.mjs RENDER OUT`, where RENDER is the
// example `render` of catalog-gen.

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { parse } from "yaml";
import { demo, hostile } from "./catalogs.mjs";

const [render, out] = process.argv.slice(2);
for (const [name, catalog] of Object.entries({ demo: demo(), hostile: hostile() })) {
  const folder = `${out}/${name}`;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(`${folder}/catalog.json`, JSON.stringify(catalog));
  execFileSync(render, [`${folder}/catalog.json`, `${folder}/site`]);
  const alerts = fs.readFileSync(`${folder}/site/grafana/provisioning/alerting/${catalog.name}.yaml`, "utf8");
  fs.writeFileSync(`${folder}/alerts.json`, JSON.stringify(parse(alerts)));
}
