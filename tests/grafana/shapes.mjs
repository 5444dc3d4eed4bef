// Writes SQL that makes tables of a catalog's shapes in PostgreSQL, with rows in March 2026:
// `node shapes.mjs CATALOG_JSON`.

import * as fs from "node:fs";

const ROWS = 400;
const quoted = (name) => `"${name.replaceAll('"', '""')}"`;
const literal = (text) => `'${text.replaceAll("'", "''")}'`;

/** Type in PostgreSQL, and a value of row `i`. */
function shape(type) {
  if (typeof type === "object") {
    if (type.decimal) return [`numeric(${type.decimal.precision}, ${type.decimal.scale})`, "(i % 90) + 0.5"];
    if (type.list) {
      const [item, value] = shape(type.list.item);
      return item === "jsonb" ? ["jsonb", "'[]'"] : [`${item}[]`, `array[${value}, ${value}]::${item}[]`];
    }
    return ["jsonb", "'{}'"];
  }
  return {
    bool: ["boolean", "i % 3 = 0"],
    int8: ["smallint", "i % 7"],
    int16: ["smallint", "i % 7"],
    int32: ["integer", "i % 7"],
    int64: ["bigint", "i % 7"],
    uint8: ["smallint", "i % 7"],
    uint16: ["integer", "i % 7"],
    uint32: ["bigint", "i % 7"],
    uint64: ["numeric(20)", "i % 7"],
    float32: ["real", "case when i % 50 = 0 then 'NaN' else sin(i) end"],
    float64: ["double precision", "sin(i)"],
    string: ["text", `(array['a', 'it''s "b"', 'c', ''])[i % 4 + 1]`],
    binary: ["bytea", `'\\x00ff'`],
    date: ["date", "date '2026-03-01' + i / 20"],
    timestamp: ["timestamptz", "timestamptz '2026-03-01 00:00:00Z' + i * interval '61.5 minutes'"],
    blob: ["jsonb", "'{}'"],
  }[type];
}

const example = (value) => {
  const [content] = Object.values(value);
  return typeof content === "string" ? literal(content) : String(content);
};

/** Columns, partitions, and what a function is asked for. */
function columns(table) {
  const all = new Map();
  const add = (name, type, nullable, fixed) => {
    const [sqlType, value] = shape(type);
    const some = nullable ? `case when i % 5 > 0 then ${value} end` : value;
    if (!all.has(name)) all.set(name, [sqlType, fixed ?? some]);
  };
  for (const argument of (table.source.arguments ?? []).filter(({ required }) => required)) {
    const given = (table.example ?? []).find(([name]) => name === argument.name);
    if (given) add(argument.name, argument.type, false, example(given[1]));
  }
  for (const column of table.columns ?? []) add(column.name, column.type, column.nullable);
  for (const partition of table.partition_by ?? []) if (partition.type) add(partition.name, partition.type, false);
  if (all.size === 0) add("unknown", "int32", false);
  return [...all];
}

function create(database, name, all) {
  const table = `${quoted(database)}.${quoted(name)}`;
  const types = all.map(([column, [type]]) => `${quoted(column)} ${type}`).join(", ");
  const values = all.map(([, [type, value]]) => `(${value})::${type}`).join(", ");
  return `create table ${table} (${types});\ninsert into ${table} select ${values} from generate_series(1, ${ROWS}) as i;`;
}

const catalog = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
for (const database of catalog.databases) {
  console.log(`create schema ${quoted(database.name)};`);
  for (const table of database.tables) {
    console.log(create(database.name, table.name, columns(table)));
    if (table.ingest) {
      const letters = [["received", shape("timestamp")], ["reason", shape("string")]];
      console.log(create(database.name, `${table.name}__dead_letters`, letters));
    }
  }
}
