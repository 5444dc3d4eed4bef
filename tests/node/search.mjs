// Answers queries with the site's search: reads {index, text, queries: [[text, limit], ...]} as
// JSON from stdin (index and text: contents of search-index.js and search-text.js), prints an array
// of answers.
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

runInThisContext(readFileSync(new URL("../../site/assets/search.js", import.meta.url), "utf8"));
const { index, text, queries } = JSON.parse(readFileSync(0, "utf8"));
runInThisContext(index);
runInThisContext(text);
const engine = globalThis.NeurolakeSearch.load(globalThis.neurolakeIndex);
globalThis.NeurolakeSearch.addText(engine, globalThis.neurolakeText);
console.log(JSON.stringify(queries.map(([query, limit]) => engine.query(query, limit))));
