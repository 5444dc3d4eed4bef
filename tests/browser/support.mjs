// What the tests share: the real command, sites in temporary folders, one browser.
//
// Every page is watched: a request to another host, an error on the console, an uncaught exception
// or a dialog fails the test that opened it. Nothing waits for a time; deadlines only end what would
// never end.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

export const DEADLINE = 60_000;
export const repository = fileURLToPath(new URL("../..", import.meta.url));
const command = process.env.CATALOG_GEN
  ?? path.join(path.resolve(repository, process.env.CARGO_TARGET_DIR ?? "target"), "debug/catalog-gen");
assert(fs.existsSync(command), `${command} is missing: cargo build -p catalog-gen`);
// An address of a site below the top of its host, as on GitHub Pages.
const MOUNT = "/some/where/lake/";
/** A name that is not `localhost`: to a browser not a secure context, the usual state of an intranet. */
export const INTRANET = "catalog.test";

const folders = [];
// Also after a site that could not be built.
process.on("exit", () => folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));
export function temporary() {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "catalog-"));
  folders.push(folder);
  return folder;
}

export async function run(...args) {
  await promisify(execFile)(command, args, { cwd: repository });
}

export function write(folder, files) {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

/** A workspace of one package, `lab`. */
export function workspace(files, settings = "") {
  const folder = temporary();
  write(folder, {
    "Cargo.toml": `[workspace]\nresolver = "3"\nmembers = ["lab"]\n\n[workspace.metadata.neurolake]\n${settings}`,
    "lab/Cargo.toml": `[package]\nname = "lab"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\nneurolake = "0.1"\n`,
    ...files,
  });
  return folder;
}

/** A built site: of the demo lake, or of another workspace. */
export async function build(manifest = repository, ...args) {
  const folder = path.join(temporary(), "site");
  await run("build", "--manifest-path", manifest, "--out", folder, "--base-path", MOUNT, "--quiet", ...args);
  return new Site(folder);
}

class Site {
  constructor(folder) {
    this.folder = folder;
    this.files = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join("/"))
      .sort();
    this.pages = this.files.filter((file) => file.endsWith(".html"));
    this.catalog = JSON.parse(fs.readFileSync(path.join(folder, "catalog.json"), "utf8"));
    /** The tables that have a page. */
    this.tables = this.catalog.databases.flatMap((database) => database.tables
      .filter((table) => !table.hidden)
      .map((table) => ({
        ...table,
        database: database.name,
        path: `${database.name}.${table.name}`,
        page: `${database.name}/${table.name}.html`,
      })));
    /** Where it lies in the file system. */
    this.local = pathToFileURL(folder + path.sep).href;
  }

  /** Serves it, as a static host would. */
  async serve() {
    const types = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".json": "application/json" };
    const files = new Set(this.files);
    const server = createServer((request, response) => {
      const { pathname } = new URL(request.url, "http://host");
      let file = pathname.startsWith(MOUNT) ? decodeURIComponent(pathname.slice(MOUNT.length)) : "";
      if (pathname.startsWith(MOUNT) && (file === "" || file.endsWith("/"))) file += "index.html";
      const found = files.has(file);
      if (!found) file = "404.html";
      response.writeHead(found ? 200 : 404, { "content-type": types[path.extname(file)] ?? "text/plain" });
      response.end(fs.readFileSync(path.join(this.folder, file)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address();
    this.web = `http://127.0.0.1:${port}${MOUNT}`;
    this.intranet = `http://${INTRANET}:${port}${MOUNT}`;
    return this;
  }
}

// They end after every page that listens to them.
const previews = [];
/** The preview of a workspace; `port` 0 takes a free one. */
export async function preview(folder, port = 0) {
  const child = spawn(command, ["serve", "--manifest-path", folder, "--port", String(port)], { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "exit");
  const stop = () => {
    child.kill("SIGKILL");
    return ended;
  };
  previews.push(stop);
  for await (const line of createInterface(child.stdout)) return { address: line.trim(), stop };
  throw new Error("the preview ended without an address");
}

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const places = process.env.PATH.split(path.delimiter).flatMap((folder) => names.map((name) => path.join(folder, name)));
  const found = places.find((place) => fs.existsSync(place));
  assert(found, `none of ${names.join(", ")} is installed; the variable CHROMIUM may name another`);
  return found;
}

export const browser = await chromium.launch({
  executablePath: findChromium(),
  args: [
    "--disable-gpu", "--disable-quic", "--disable-sync",
    // No other name leads anywhere.
    `--host-resolver-rules=MAP ${INTRANET} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
  ],
});
after(async () => {
  await browser.close();
  await Promise.all(previews.map((stop) => stop()));
});

/** A page in a fresh context, which ends with the test; what must not happen on it fails the test. */
export async function open(t, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(DEADLINE);
  const problems = [];
  /** Every address asked for. */
  const requests = [];
  const own = new URL(".", address);
  context.on("request", (request) => {
    const url = new URL(request.url());
    requests.push(url.href);
    const isOwn = url.protocol === own.protocol && url.host === own.host;
    if (!isOwn && url.protocol !== "data:" && url.href !== "about:blank") problems.push(`request to ${url}`);
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      problems.push(`console on ${message.page()?.url()}: ${message.text()}`);
    }
  });
  context.on("weberror", (error) => problems.push(`exception: ${error.error()}`));
  context.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  const page = await context.newPage();
  Object.assign(page, { problems, requests });
  await page.goto(address);
  return page;
}

/** Takes back problems that a test brings about; there must be one. */
export function expectProblem(page, expected) {
  const others = page.problems.filter((problem) => !expected.test(problem));
  assert(others.length < page.problems.length, `nothing like ${expected} happened`);
  page.problems.splice(0, Infinity, ...others);
}

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** What is wrong with the page for people who can't see it well, or at all. */
export async function violations(page) {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  });
}

/** Waits until `condition` holds in the page. */
export const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: DEADLINE });

/** The text of every element that fits. */
export const texts = (page, selector) => page.locator(selector).allInnerTexts();
