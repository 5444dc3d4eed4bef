// The catalogs whose files are looked at: the demo lake with a Postgres door, and one whose names want
// to be SQL, variables, markup or YAML.

import * as fs from "node:fs";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

export function demo() {
  const catalog = JSON.parse(fs.readFileSync(`${repository}/site/catalog.json`, "utf8"));
  catalog.endpoints.postgres = "127.0.0.1:5432";
  return catalog;
}

/** Names that survive what Grafana does to statements, and those that don't. */
export const NAMES = [
  `it's "quoted"`, `""`, "select", "Mixed Case", " spaces ", "größe", "神経 🧠", "a.b", "a;b", "--", "/* */", "a\\b",
  "a,b", "a)b", "(", "{{ x }}", "%", "<b>", "#:", "- x", "'", "time", "metric", "rows", "reading", "element", "u\u2028v",
];
export const REFUSED = ["$x", "a$__interval", "${region}", "[[region]]", "$__timeFilter(x)"];

/** Units that Grafana has a name for. */
export const UNITS = `% A Ah B B/s EUR F GBP GiB Hz J JPY K KiB MOhm MiB N Ohm Pa USD V VA W Wh bar bit/s dB d deg degC degF h hPa kB kB/s kOhm kPa kV kW kWh kbit/s kg km km/h l lx m m/s m/s2 mA mAh mV mW mbar mg min ml mm ms ns ppm rad rpm s us`.split(" ");

const column = (name, type, more = {}) => ({ name, type, nullable: true, docs: `Text about \`${name}\`, or $x.`, ...more });

export function hostile() {
  const location = { file: "src/lib.rs", line: 1 };
  const table = (name, more) => ({
    name,
    docs: `Docs: "quoted" {{ x }} $HOME \${y} %} </script> # no comment`,
    source: { kind: "delta", uri: `s3://lake/${name}` },
    rust_path: `lake::${name}`,
    location,
    ...more,
  });
  const names = [...NAMES, ...REFUSED];
  const list = { list: { item: "float32", nullable: true } };
  const tables = [
    table("numbers", {
      columns: [column("ts", "timestamp"), ...names.map((name) => column(name, "float64", { unit: name }))],
      tags: ["$tag", `"quoted": yes`],
      owner: "$owner: 'x'",
      freshness: "500ms",
      ingest: true,
    }),
    table("texts", {
      columns: [column("Time of Day", "timestamp"), ...names.map((name) => column(name, "string", { docs: "`a` or `b`." }))],
    }),
    table("counters", {
      columns: [
        column("ts", "timestamp", { nullable: false }),
        column("who's \"who\"", "string", { nullable: false }),
        column("bytes_total", "int64"),
        column("errors \"seen\"_total", "int32"),
      ],
      unique_by: ["who's \"who\"", "ts"],
    }),
    table("lists", { columns: [column("it's \"when\"", "timestamp"), ...NAMES.map((name) => column(name, list))] }),
    table("flags", { columns: [column("ts", "timestamp"), ...NAMES.map((name) => column(name, "bool"))] }),
    table("by_region", {
      columns: [column("region", "string", { nullable: false }), column("day", "date", { nullable: false }), column("size", { decimal: { precision: 20, scale: 4 } })],
      partition_by: [{ name: "region", type: "string" }, { name: "day", type: "date" }],
    }),
    table("späte_tabelle_mit_einem_sehr_langen_namen_für_grafana", { columns: [column("ts", "timestamp")], freshness: "1h" }),
    table("units", { columns: [column("ts", "timestamp"), ...UNITS.map((unit, at) => column(`in_${at}`, "float32", { unit }))] }),
    table("only_secrets", { columns: [column("ts", "timestamp", { pii: true }), column("x", "float64")], freshness: "1d" }),
    // Without a time that can be named there is no dashboard.
    table("timeless", { columns: [column("x", "float64")] }),
    table("unnameable", { columns: [column("t$", "timestamp"), column("t)", "timestamp"), column("[[t]]", "timestamp")] }),
    table("hidden", { columns: [column("ts", "timestamp")], hidden: true, freshness: "1h" }),
    table("unanswerable", {
      source: { kind: "function", arguments: [{ name: "region", type: "string", required: true }] },
      columns: [column("ts", "timestamp")],
    }),
  ];
  tables.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    format_version: 1,
    name: "hostile",
    title: `"Lake": $HOME # {{ x }}`,
    endpoints: { http: "https://lake.example.org", postgres: "lake.example.org:5432" },
    databases: [{ name: "order", location, tables }],
  };
}
