// Answers queries with the site's search: reads {index, text, queries: [[text, limit], ...]} as
// JSON from stdin (index and text: contents of search-index.js and search-text.js), prints
// {answers, gzipBytes} with the compressed size of the index.
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
import { gzipSync } from "node:zlib";

runInThisContext(readFileSync(new URL("../../site/assets/search.js", import.meta.url), "utf8"));
const { index, text, queries } = JSON.parse(readFileSync(0, "utf8"));
runInThisContext(index);
runInThisContext(text);
const engine = globalThis.NeurolakeSearch.load(globalThis.neurolakeIndex);
globalThis.NeurolakeSearch.addText(engine, globalThis.neurolakeText);
const answers = queries.map(([query, limit]) => engine.query(query, limit));
console.log(JSON.stringify({ answers, gzipBytes: gzipSync(index).length }));
