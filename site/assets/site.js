// Everything here only adds to pages that are complete without it.
(() => {
  "use strict";
  const root = new URL("..", document.currentScript.src).href;
  const page = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  /** Makes an element: properties by name, `aria-*` and other attributes with a dash as attributes. */
  const make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (/[-]|^(role|class|for)$/.test(name)) element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  };

  // Storage may be forbidden, for example on file:// with strict settings.
  const recall = (key) => { try { return localStorage[key]; } catch { return undefined; } };
  const remember = (key, value) => {
    try {
      if (value) localStorage[key] = value;
      else localStorage.removeItem(key);
    } catch { /* the choice lasts for this page only */ }
  };

  const status = make("p", { class: "v", role: "status" });
  document.body.append(status);
  const announce = (text) => {
    status.textContent = "";
    setTimeout(() => { status.textContent = text; }, 50);
  };

  // Copying

  const copyText = async (text) => {
    // Absent on plain HTTP except for localhost, the usual state of an intranet.
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(text);
        return true;
      } catch { /* refused: try the old way */ }
    }
    const area = make("textarea", { value: text, class: "v", "aria-hidden": "true" });
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  };

  const copyButton = (label, text) => {
    const button = make("button", { type: "button", class: "copy", textContent: "Copy", "aria-label": label });
    let timer;
    button.addEventListener("click", async () => {
      const done = await copyText(text());
      const outcome = done ? "Copied" : "Copying failed";
      button.textContent = button.ariaLabel = outcome;
      button.classList.toggle("done", done);
      announce(outcome);
      clearTimeout(timer);
      timer = setTimeout(() => {
        button.textContent = "Copy";
        button.ariaLabel = label;
        button.classList.remove("done");
      }, 1600);
    });
    return button;
  };

  // Snippets: each list of details becomes tabs

  const tabs = (snippets) => {
    const panels = $$("details", snippets).map((details) => {
      const { id } = details.dataset;
      const tab = make("button", {
        type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `code-${id}`,
        textContent: $("summary", details).textContent,
      });
      const panel = make("div", { role: "tabpanel", id: `code-${id}`, "aria-labelledby": `tab-${id}` }, $("pre", details));
      details.replaceWith(panel);
      return { tab, panel };
    });
    let active = panels[0];
    const choose = (chosen, focus) => {
      active = chosen;
      for (const { tab, panel } of panels) {
        const on = tab === chosen.tab;
        tab.setAttribute("aria-selected", on);
        tab.tabIndex = on ? 0 : -1;
        panel.hidden = !on;
      }
      if (focus) chosen.tab.focus();
      const list = chosen.tab.parentElement;
      list.scrollLeft = chosen.tab.offsetLeft - list.offsetLeft - list.clientWidth / 2 + chosen.tab.offsetWidth / 2;
    };
    // Known by its title, which is the same where code reads and where it sends.
    const keep = (entry) => remember("neurolakeSnippet", entry.tab.textContent);
    const list = make("div", { role: "tablist", "aria-label": "Client" }, ...panels.map(({ tab }) => tab));
    const copy = copyButton("Copy code", () => active.panel.textContent);
    snippets.prepend(make("div", { class: "tabs" }, list, copy));
    for (const entry of panels) {
      entry.tab.addEventListener("click", () => {
        choose(entry);
        keep(entry);
      });
    }
    list.addEventListener("keydown", (event) => {
      const at = panels.indexOf(active);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: panels.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(panels[(to + panels.length) % panels.length], true);
      keep(active);
    });
    const wanted = recall("neurolakeSnippet");
    choose(panels.find(({ tab }) => tab.textContent === wanted) ?? panels[0]);
    return () => copy.click();
  };
  const [copySnippet] = $$(".snippets").map(tabs);
  for (const call of $$("[data-copy]")) call.after(copyButton("Copy code", () => call.textContent));
  const name = $("h1[data-name]");
  if (name) {
    const copy = copyButton(`Copy the name ${name.dataset.name}`, () => name.dataset.name);
    copy.classList.add("name");
    name.append(copy);
  }

  // Theme: as the system says, then the other one, then back

  const themes = ["", "light", "dark"];
  const themeButton = $(".theme");
  const showTheme = () => {
    const theme = page.dataset.theme ?? "";
    themeButton.ariaLabel = `Theme: ${theme || "automatic"}`;
    themeButton.title = `Theme: ${theme || "automatic"} (t)`;
  };
  const nextTheme = () => {
    const theme = themes[(themes.indexOf(page.dataset.theme ?? "") + 1) % themes.length];
    if (theme) page.dataset.theme = theme;
    else delete page.dataset.theme;
    remember("neurolakeTheme", theme);
    showTheme();
    announce(themeButton.ariaLabel);
  };
  if (themeButton) {
    showTheme();
    themeButton.addEventListener("click", nextTheme);
  }

  // Help

  let help = null;
  const showHelp = () => {
    if (!help) {
      const keys = [
        ["/", "s", "Ctrl K", "Search"], ["↑", "↓", "Choose a result"], ["Enter", "Open it"],
        ["Ctrl Enter", "Open it in a new tab"], ["Esc", "Close the results"],
        ["c", "Copy the code"], ["t", "Switch the theme"], ["?", "This help"],
      ];
      const rows = keys.flatMap((row) => {
        const marks = row.slice(0, -1).flatMap((key) => [make("kbd", { textContent: key }), " "]);
        return [make("dt", {}, ...marks), make("dd", { textContent: row.at(-1) })];
      });
      const close = make("button", { type: "button", class: "copy", textContent: "Close" });
      help = make("dialog", { "aria-labelledby": "help-title" },
        make("h2", { id: "help-title", textContent: "Keyboard" }), make("dl", {}, ...rows), close);
      close.addEventListener("click", () => help.close());
      help.addEventListener("click", (event) => { if (event.target === help) help.close(); });
      document.body.append(help);
    }
    help.showModal();
  };
  $(".help")?.addEventListener("click", showHelp);

  // Filters over long tables

  for (const table of $$("table.schema, table.tables")) {
    const rows = $$("tbody tr", table);
    if (rows.length < 12) continue;
    const label = table.matches(".schema") ? "Filter columns" : "Filter tables";
    const filter = make("input", { type: "search", class: "filter", placeholder: label, "aria-label": label });
    const texts = rows.map((row) => row.textContent.toLowerCase());
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/);
      const shown = new Set();
      rows.forEach((row, at) => {
        row.hidden = !words.every((word) => texts[at].includes(word));
        if (!row.hidden) shown.add(row.id);
      });
      // A nested field shows the fields it is in.
      for (const row of rows) {
        if (row.hidden && row.id && [...shown].some((id) => id.startsWith(`${row.id}.`))) row.hidden = false;
      }
    });
    const heading = table.previousElementSibling;
    if (heading?.matches("h2")) heading.append(filter);
    else table.before(filter);
  }

  // Search

  let engine = null;
  let loading = null;
  let hasText = false;
  const load = (file) => new Promise((resolve, reject) => {
    // A script tag instead of fetch: it also works from file://.
    const script = make("script", { src: `${root}assets/${file}`, onload: resolve, onerror: () => reject(new Error(file)) });
    document.head.append(script);
  });
  const ready = () => loading ??= Promise.all([load("search.js"), load("search-index.js")]).then(() => {
    engine = globalThis.NeurolakeSearch.load(globalThis.neurolakeIndex);
    // The first query with a typo compiles most of the engine: better now than under a keystroke.
    (globalThis.requestIdleCallback ?? setTimeout)(() => engine.query("wram up", 1));
  }).catch((error) => {
    loading = null;
    throw error;
  });
  /** Descriptions come second: they are most of the index and few searches need them. */
  const readyText = async () => {
    if (hasText) return false;
    hasText = true;
    await load("search-text.js");
    globalThis.NeurolakeSearch.addText(engine, globalThis.neurolakeText);
    return true;
  };

  const address = (hit) => {
    const table = `${root}${encodeURIComponent(hit.database)}/${encodeURIComponent(hit.table)}.html`;
    return hit.column ? `${table}#c-${encodeURIComponent(hit.column).replace(/'/g, "%27")}` : table;
  };
  /** The part of a path from `start` to `end`, with what of `ranges` lies in it highlighted. */
  const marked = (path, ranges, start, end = path.length) => {
    const parts = [];
    let at = start;
    for (const range of ranges) {
      const from = Math.max(range[0], at);
      const to = Math.min(range[1], end);
      if (from >= to) continue;
      parts.push(path.slice(at, from), make("mark", { textContent: path.slice(from, to) }));
      at = to;
    }
    return [...parts, path.slice(at, end)];
  };
  const kinds = { delta: "Delta", parquet: "Parquet", postgres: "PostgreSQL", sheet: "Google Sheet", sql: "SQL view", function: "Function" };
  const row = (hit) => {
    const table = `${hit.database}.${hit.table}`;
    const path = hit.column === null ? table : `${table}.${hit.column}`;
    const part = (start, end) => marked(path, hit.ranges, start, end);
    const own = path.length - (hit.column ?? hit.table).length;
    const link = make("a", { class: "hit", href: address(hit) });
    const add = (...parts) => link.append(" ", ...parts);
    if (hit.column === null) link.append(make("code", {}, make("i", {}, ...part(0, own)), ...part(own)));
    else {
      link.append(make("code", {}, ...part(own)));
      add(make("small", {}, "in ", ...part(0, table.length),
        hit.more ? ` and ${hit.more} more ${hit.more === 1 ? "table" : "tables"}` : ""));
    }
    if (hit.alias) add(make("small", { textContent: `also called ${hit.alias}` }));
    if (hit.deprecated) add(make("b", { class: "warn", textContent: "deprecated" }));
    add(make("span", { class: `kind ${hit.kind}`, textContent: kinds[hit.kind] ?? hit.kind }));
    if (hit.text) add(make("small", { class: "text", textContent: hit.text }));
    return link;
  };
  const didYouMean = (suggestion, pick) => {
    const button = make("button", { type: "button", class: "copy", textContent: suggestion });
    button.addEventListener("click", () => pick(suggestion));
    return button;
  };
  const resultsPage = (text) => `${root}search.html?q=${encodeURIComponent(text)}`;

  const input = $("#q");
  const results = $("#hits");
  const form = input?.form;
  if (input) {
    input.spellcheck = false;
    input.autocapitalize = "off";
  }
  if (form) form.append(make("kbd", { textContent: "/", "aria-hidden": "true" }));

  if (form && !results) {
    const list = make("div", { role: "listbox", id: "found", "aria-label": "Results" });
    const foot = make("p");
    const popup = make("div", { class: "popup", hidden: true }, list, foot);
    form.append(popup);
    for (const [attribute, value] of Object.entries({
      role: "combobox", "aria-expanded": "false", "aria-controls": "found", "aria-autocomplete": "list",
    })) input.setAttribute(attribute, value);
    let options = [];
    let selected = -1;
    let turn = 0;

    const select = (index) => {
      options[selected]?.setAttribute("aria-selected", "false");
      selected = index;
      const option = options[selected];
      option?.setAttribute("aria-selected", "true");
      option?.scrollIntoView({ block: "nearest" });
      if (option) input.setAttribute("aria-activedescendant", option.id);
      else input.removeAttribute("aria-activedescendant");
    };
    const close = () => {
      popup.hidden = true;
      input.setAttribute("aria-expanded", "false");
      select(-1);
    };
    const show = (text, { hits, suggestion }) => {
      options = hits.map((hit, at) => {
        const option = row(hit);
        for (const [attribute, value] of Object.entries({
          role: "option", id: `found-${at}`, tabindex: "-1", "aria-selected": "false",
        })) option.setAttribute(attribute, value);
        return option;
      });
      selected = -1;
      input.removeAttribute("aria-activedescendant");
      list.replaceChildren(...options);
      list.hidden = options.length === 0;
      foot.replaceChildren();
      if (options.length === 0) {
        foot.append(make("span", { textContent: `No match for “${text}”.` }));
        if (suggestion) {
          foot.append(make("span", {}, "Did you mean ", didYouMean(suggestion, (value) => {
            input.value = value;
            input.focus();
            update();
          }), "?"));
        }
      } else {
        foot.append(make("span", { textContent: "Narrow with db: owner: tag: type: col: is:deprecated is:ingest" }),
          make("a", { href: resultsPage(text), textContent: "All results" }));
      }
      popup.hidden = false;
      input.setAttribute("aria-expanded", String(options.length > 0));
    };
    const update = async () => {
      const text = input.value.trim();
      const mine = ++turn;
      if (!text) return close();
      try {
        await ready();
      } catch {
        foot.replaceChildren("The search index could not be loaded.");
        list.hidden = true;
        popup.hidden = false;
        return undefined;
      }
      if (mine !== turn) return undefined;
      let found = engine.query(text, 10);
      show(text, found);
      if (found.hits.length < 5 && await readyText() && mine === turn) {
        found = engine.query(text, 10);
        if (selected < 0) show(text, found);
      }
      return undefined;
    };
    const open = async (newTab) => {
      // Enter may be faster than the index.
      if (popup.hidden || turn === 0) await update();
      const target = (options[selected] ?? options[0])?.href ?? resultsPage(input.value.trim());
      if (newTab) window.open(target, "_blank", "noopener");
      else {
        close();
        location.href = target;
      }
    };

    input.addEventListener("focus", () => { ready().catch(() => {}); });
    input.addEventListener("input", update);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (popup.hidden) update();
        else if (options.length) {
          const step = event.key === "ArrowDown" ? 1 : -1;
          // One more place than options: nothing selected, back in the text.
          const places = options.length + 1;
          select((selected + 1 + step + places) % places - 1);
        }
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (input.value.trim()) open(event.ctrlKey || event.metaKey);
      } else if (event.key === "Escape") {
        event.preventDefault();
        if (popup.hidden) input.blur();
        else close();
      }
    });
    form.addEventListener("focusout", (event) => { if (!form.contains(event.relatedTarget)) close(); });
    // Keeps the focus in the box, so that the click on a result still finds it.
    list.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", () => setTimeout(close));
    input.addEventListener("click", () => { if (popup.hidden && input.value.trim()) update(); });
  }

  if (form && results) {
    const hint = $("#status");
    const most = 200;
    const update = async () => {
      const text = input.value.trim();
      history.replaceState(null, "", text ? `?q=${encodeURIComponent(text)}` : location.pathname);
      if (!text) {
        results.replaceChildren();
        hint.textContent = "Narrow with db: owner: tag: type: col: is:deprecated is:ingest";
        return;
      }
      try {
        await ready();
        await readyText();
      } catch {
        hint.textContent = "The search index could not be loaded.";
        return;
      }
      if (input.value.trim() !== text) return;
      const { hits, suggestion } = engine.query(text, most);
      results.replaceChildren(...hits.map(row));
      if (hits.length) {
        hint.textContent = `${hits.length === most ? `The first ${most}` : hits.length} ${hits.length === 1 ? "result" : "results"}`;
      } else {
        hint.replaceChildren(`No match for “${text}”.`);
        if (suggestion) {
          hint.append(" Did you mean ", didYouMean(suggestion, (value) => {
            input.value = value;
            update();
          }), "?");
        }
      }
    };
    input.value = new URLSearchParams(location.search).get("q") ?? "";
    input.addEventListener("input", update);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      $("a", results)?.focus();
    });
    update();
    if (!input.value) input.focus();
  }

  // Keys

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const combined = event.ctrlKey || event.metaKey;
    if (combined && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k" && input) {
      event.preventDefault();
      input.focus();
      input.select();
      return;
    }
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (typing || combined || event.altKey) return;
    const action = {
      "/": input && (() => { input.focus(); input.select(); }),
      s: input && (() => { input.focus(); input.select(); }),
      c: copySnippet,
      t: themeButton && nextTheme,
      "?": showHelp,
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
})();
