// Measures the site's search: size of the index, CPU to load it, CPU per keystroke.
//
//   cargo run --release -p neurolake-tests --bin search_index -- DIR
//   node tests/node/search_bench.mjs DIR [--peer minisearch|fuse.js]
//
// DIR holds search-index.js, search-text.js and queries.json. A keystroke is each prefix of each
// query. A peer gets the same names, one document per distinct name, and must be installed where
// node finds it: `npm install --no-save minisearch fuse.js`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { gzipSync } from "node:zlib";

const [dir, ...rest] = process.argv.slice(2);
if (!dir) throw new Error("usage: search_bench.mjs DIR [--peer minisearch|fuse.js]");
const peer = rest[0] === "--peer" ? rest[1] : null;
const read = (name) => readFileSync(join(dir, name), "utf8");
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function report(name, loadMs, keys, answer) {
  let first;
  const times = keys.map((key) => {
    const before = cpu();
    answer(key);
    const taken = cpu() - before;
    first ??= taken;
    return taken;
  });
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(2);
  const slowest = keys[times.indexOf(sorted.at(-1))];
  console.log(
    `${name.padEnd(12)} load ${loadMs.toFixed(0)} ms, ${keys.length} keys: first ${first.toFixed(2)}, ` +
      `p50 ${at(0.5)}, p95 ${at(0.95)}, max ${at(1)} ms CPU (\`${slowest}\`)`,
  );
}

const source = read("search-index.js"), text = read("search-text.js");
const queries = JSON.parse(read("queries.json"));
const keys = queries.flatMap((query) => [...query].map((_, i) => query.slice(0, i + 1)));
const size = (bytes) => `${(bytes / 1000).toFixed(0)} KB`;
console.log(`index ${size(source.length)}, gzip ${size(gzipSync(source, { level: 9 }).length)}`);
console.log(`text  ${size(text.length)}, gzip ${size(gzipSync(text, { level: 9 }).length)}`);

runInThisContext(readFileSync(new URL("../../site/assets/search.js", import.meta.url), "utf8"));
const before = cpu();
runInThisContext(source);
const engine = NeurolakeSearch.load(globalThis.neurolakeIndex);
const loaded = cpu() - before;
// As `site.js` does while the page is idle.
const idle = cpu();
engine.query("wram up", 1);
console.log(`warm-up in an idle moment: ${(cpu() - idle).toFixed(0)} ms`);
report("neurolake", loaded, keys, (key) => engine.query(key, 20));
runInThisContext(text);
NeurolakeSearch.addText(engine, globalThis.neurolakeText);
report("with text", 0, keys, (key) => engine.query(key, 20));

if (peer) {
  const require = createRequire(join(process.cwd(), "x.js"));
  const { tables, columns } = globalThis.neurolakeIndex;
  const names = [...tables.split("\n"), ...columns.split("\n")];
  const documents = names.map((name, id) => ({ id, name, words: name.replaceAll("_", " ") }));
  const start = cpu();
  let answer;
  if (peer === "minisearch") {
    const MiniSearch = require("minisearch");
    const mini = new (MiniSearch.default ?? MiniSearch)({ fields: ["name", "words"] });
    mini.addAll(documents);
    answer = (key) => mini.search(key, { prefix: true, fuzzy: 0.2 });
  } else {
    const Fuse = require("fuse.js");
    const fuse = new (Fuse.default ?? Fuse)(documents, { keys: ["name"], threshold: 0.3 });
    answer = (key) => fuse.search(key, { limit: 20 });
  }
  // Fuse compares every name on every key; a sample tells enough.
  report(peer, cpu() - start, peer === "fuse.js" ? keys.filter((_, i) => i % 100 === 0) : keys, answer);
}
