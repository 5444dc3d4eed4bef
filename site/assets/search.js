// Search over the names of a catalog: tables and columns in one ranked list.
//
// The same ranking stands in `catalog-gen/src/search/query.rs`; a test runs both on thousands of
// random queries and demands equal answers, so a change here is a change there. Scores are
// integers and every tie is broken, which makes "equal" mean "identical".
//
//   const engine = NeurolakeSearch.load(neurolakeIndex);
//   NeurolakeSearch.addText(engine, neurolakeText); // optional: descriptions, the last resort
//   const { hits, suggestion } = engine.query("band pow owner:signals", 20);
//
// `ranges` of a hit are [start, end) pairs in the path `database.table` or
// `database.table.column`, to be highlighted.
(function (root) {
  "use strict";

  // A tier outranks everything below it. Inside one, `extra` and then short names win.
  const TIERS = ["facet", "text", "typo", "squashed", "spread", "words", "substring", "boundary", "prefix", "exact"];
  const [FACET, TEXT, TYPO, SQUASHED, SPREAD, WORDS, SUBSTRING, BOUNDARY, PREFIX, EXACT] = TIERS.keys();
  const TABLE_BONUS = 10; // what a column earns by standing in 512 tables
  const ALIAS_PENALTY = 20; // within a tier a name beats an alias
  const MAX_LENGTH = 200; // of a query, and of what a long name costs
  const TYPO_BELOW = 10; // hits; with more of them a typo is unlikely
  const TEXT_BELOW = 5;

  const isSeparator = (c) => c === "_" || c === ".";
  const bits = (n) => 32 - Math.clz32(n);

  // Lower case, character by character, so that offsets stay those of the text.
  function lower(text) {
    if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
    let out = "";
    for (const c of text) {
      const low = c.toLowerCase();
      out += low.length === c.length ? low : c;
    }
    return out;
  }

  // Blank and `-` separate the words of a name just as `_` does.
  const fold = (text) => lower(text).replace(/[ -]/g, "_");
  const squash = (text) => text.replace(/[_.]/g, "");
  const wordsOf = (text) => text.split(/[_.]/).filter((word) => word !== "");

  // Lists of ascending numbers: gaps in little-endian digits. A digit from `]` on continues a
  // number, one from `#` on ends it, a blank ends a list. No character needs an escape in a string.
  function unpack(text) {
    const values = new Float64Array(text.length);
    const ends = [];
    let size = 0, value = 0, scale = 1, last = -1;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 32) {
        ends.push(size);
        last = -1;
      } else if (code >= 93) {
        value += (code - 93) * scale;
        scale *= 34;
      } else {
        last += value + (code - 35) * scale + 1;
        values[size++] = last;
        value = 0;
        scale = 1;
      }
    }
    return { length: ends.length, get: (i) => values.subarray(i ? ends[i - 1] : 0, ends[i]) };
  }

  const lines = (text) => (text === "" ? [] : text.split("\n"));

  function startsOf(names) {
    const starts = new Int32Array(names.length + 1);
    for (let i = 0; i < names.length; i++) starts[i + 1] = starts[i] + names[i].length + 1;
    return starts;
  }

  // Calls `found(line, at, start, end)` for each place of `needle` in the newline-joined lines. It
  // returns whether the rest of the line is of interest.
  function scan(flat, starts, needle, found) {
    let line = 0;
    for (let at = flat.indexOf(needle); at >= 0; ) {
      while (starts[line + 1] <= at) line++;
      const more = found(line, at, starts[line], starts[line + 1] - 1);
      at = flat.indexOf(needle, more ? at + 1 : starts[line + 1]);
    }
  }

  // How well a whole name fits: a tier, or 0.
  function fit(name, needle) {
    const at = locate(name, needle);
    if (at < 0) return 0;
    if (at > 0) return isSeparator(name[at - 1]) ? BOUNDARY : SUBSTRING;
    return name.length === needle.length ? EXACT : PREFIX;
  }

  // The first place where a word begins with `needle`, otherwise the first place at all.
  function locate(name, needle) {
    const first = name.indexOf(needle);
    for (let at = first; at >= 0; at = name.indexOf(needle, at + 1)) {
      if (at === 0 || isSeparator(name[at - 1])) return at;
    }
    return first;
  }

  const typosAllowed = (length) => (length < 4 ? 0 : length < 8 ? 1 : 2);
  const rows = [0, 1, 2].map(() => new Uint8Array(2 * MAX_LENGTH));

  // Damerau-Levenshtein distance (neighbours may swap) of `a` to the whole of `b` or to its nearest
  // prefix; `bound + 1` stands for everything above `bound`.
  function distance(a, b, bound, toPrefix) {
    const far = bound + 1;
    if (b.length + bound < a.length || (!toPrefix && b.length > a.length + bound)) return far;
    const width = Math.min(b.length, a.length + bound);
    let before = rows[0], above = rows[1], row = rows[2];
    for (let j = 0; j <= width; j++) row[j] = j;
    let nearest = 0;
    for (let i = 1; i <= a.length; i++) {
      const oldest = before;
      before = above;
      above = row;
      row = oldest;
      row[0] = nearest = i;
      // Further off the diagonal everything is above the bound.
      const low = Math.max(1, i - bound), high = Math.min(width, i + bound);
      if (low > 1) row[low - 1] = far;
      for (let j = low; j <= high; j++) {
        let least = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
        if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2] + 1);
        row[j] = least;
        if (least < nearest) nearest = least;
      }
      row[high + 1] = far;
      if (nearest > bound) return far;
    }
    return Math.min(toPrefix ? nearest : row[width], far);
  }

  // Which letters occur; a letter that `b` lacks costs an edit, so most pairs need no `distance`.
  function letters(text) {
    let mask = 0;
    for (let i = 0; i < text.length; i++) mask |= 1 << (text.charCodeAt(i) & 31);
    return mask;
  }

  function tooFar(a, b, bound) {
    let missing = a & ~b;
    for (; bound > 0; bound--) missing &= missing - 1;
    return missing !== 0;
  }

  // The name that somebody may have meant, a bit further away than a typo.
  function nearest(text, names) {
    const mask = letters(text);
    let best = -1, bound = text.length < 4 ? 0 : Math.min(typosAllowed(text.length) + 1, Math.floor(text.length / 3));
    for (let i = 0; i < names.length && bound > 0; i++) {
      if (Math.abs(names[i].length - text.length) > bound) continue;
      const other = letters(names[i]);
      if (tooFar(mask, other, bound) || tooFar(other, mask, bound)) continue;
      const whole = distance(text, names[i], bound, false);
      if (whole <= bound) [best, bound] = [i, whole - 1];
    }
    return best;
  }

  function load(index) {
    const tableNames = lines(index.tables), columnNames = lines(index.columns);
    const names = [...tableNames, ...columnNames, ...lines(index.aliases)];
    const tableCount = tableNames.length, aliasesFrom = tableCount + columnNames.length;
    const flat = fold(names.join("\n"));
    const lowered = flat.split("\n");
    const starts = startsOf(names);
    const columnTables = unpack(index.columnTables);
    const aliasEntries = unpack(index.aliasEntries), aliasTables = unpack(index.aliasTables);
    const deadTables = new Uint8Array(tableCount);
    for (const table of unpack(index.deprecated).get(0)) deadTables[table] = 1;
    const deadColumns = new Set(unpack(index.deprecatedColumns).get(0));

    const facets = {};
    for (const key of ["db", "owner", "tag", "type", "is"]) {
      const values = lines(index.facets[key].names);
      facets[key] = { values, folded: values.map(fold), tables: unpack(index.facets[key].tables) };
    }
    const valueOf = (facet) => {
      const value = new Int32Array(tableCount);
      facet.values.forEach((_, i) => facet.tables.get(i).forEach((table) => (value[table] = i)));
      return value;
    };
    const databaseOf = valueOf(facets.db), kindOf = valueOf(facets.type);
    const columnsFolded = lowered.slice(tableCount, aliasesFrom);

    // Among the tables that hold a column, the one with the shortest name stands for it.
    const rank = new Int32Array(tableCount);
    [...tableNames.keys()]
      .sort((a, b) => names[a].length - names[b].length || (lowered[a] < lowered[b] ? -1 : lowered[a] > lowered[b] ? 1 : a - b))
      .forEach((table, place) => (rank[table] = place));

    // Names without separators.
    const squashed = { flat: flat.replaceAll("_", "").replaceAll(".", "") };
    squashed.names = squashed.flat.split("\n");
    squashed.starts = startsOf(squashed.names);
    squashed.letters = new Int32Array(names.length);
    for (let entry = 0; entry < names.length; entry++) squashed.letters[entry] = letters(squashed.names[entry]);

    // The distinct words of all names, and the names as numbers of words.
    const numbers = new Map(), spelled = [], spelledTo = new Int32Array(names.length + 1);
    let spelling = 0;
    for (const word of flat.replaceAll(".", "_").replaceAll("\n", "_\n_").split("_")) {
      if (word === "\n") spelledTo[spelling++] = spelled.length;
      else if (word !== "") {
        let number = numbers.get(word);
        if (number === undefined) numbers.set(word, (number = numbers.size));
        spelled.push(number);
      }
    }
    spelledTo[spelling] = spelled.length;
    const vocabulary = [...numbers.keys()], vocabularyLetters = vocabulary.map(letters);

    let text = null;

    // How well each name fits: a tier, or 0.
    function fits(needle) {
      const tier = new Uint8Array(names.length);
      if (needle === "") return tier.fill(PREFIX);
      scan(flat, starts, needle, (entry, at, start, end) => {
        let found = SUBSTRING;
        if (at === start) found = at + needle.length === end ? EXACT : PREFIX;
        else if (isSeparator(flat[at - 1])) found = BOUNDARY;
        if (found > tier[entry]) tier[entry] = found;
        return found === SUBSTRING;
      });
      return tier;
    }

    const engine = {
      addText(given) {
        const texts = lines(given.texts);
        text = { texts, columns: unpack(given.columns), tables: unpack(given.tables), flat: lower(given.texts), starts: startsOf(texts) };
      },
      query(input, limit = 20) {
        const pieces = input.slice(0, MAX_LENGTH).split(/[ \t\r\n\u00a0]+/).filter((piece) => piece !== "");
        return new Query(pieces, limit).answer();
      },
    };

    class Query {
      constructor(pieces, limit) {
        this.limit = limit;
        this.found = new Map(); // table or column -> candidate
        this.alive = new Uint32Array(TIERS.length); // per tier, candidates that are not deprecated
        this.allowed = null; // per table, where facets are given
        this.columnOf = null; // the column by which `col:` took a table
        this.suggestion = null;
        const free = pieces.filter((piece, i) => !this.facet(piece, i, pieces));
        this.text = fold(free.join(" ")).replaceAll("::", ".");
        this.words = wordsOf(this.text).slice(0, 16);
        this.full = (1 << this.words.length) - 1;
        this.tier = null; // best tier per entry so far
      }

      // Narrows `allowed` when the piece is a facet.
      facet(piece, place, pieces) {
        const parsed = /^(db|owner|tag|type|format|col|is):(?!:)([^]*)$/i.exec(piece);
        if (!parsed) return false;
        const key = parsed[1].toLowerCase().replace("format", "type");
        const folded = key === "col" ? columnsFolded : facets[key].folded;
        const wanted = fold(parsed[2]);
        let chosen = [...folded.keys()].filter((i) => folded[i] === wanted);
        if (!chosen.length) chosen = [...folded.keys()].filter((i) => folded[i].startsWith(wanted));
        if (!chosen.length) {
          const near = nearest(wanted, folded);
          const value = near < 0 ? null : key === "col" ? columnNames[near] : facets[key].values[near];
          if (value) this.suggestion = pieces.map((other, i) => (i === place ? `${parsed[1]}:${value}` : other)).join(" ");
        }
        const tables = new Uint8Array(tableCount);
        for (const i of chosen) {
          for (const table of (key === "col" ? columnTables : facets[key].tables).get(i)) {
            tables[table] = 1;
            if (key === "col") (this.columnOf ??= new Map()).has(table) || this.columnOf.set(table, i);
          }
        }
        // A table has one database, owner and type: two of them mean "either", two tags mean both.
        const either = key === "db" || key === "owner" || key === "type";
        this.groups ??= new Map();
        const group = either ? key : piece;
        const known = this.groups.get(group);
        this.groups.set(group, known ? known.map((yes, table) => yes | tables[table]) : tables);
        this.allowed = [...this.groups.values()].reduce((all, one) => all.map((yes, table) => yes & one[table]));
        return true;
      }

      answer() {
        if (this.limit > 0 && this.text === "" && this.allowed) return { hits: this.facetHits(), suggestion: this.suggestion };
        if (this.limit > 0 && this.text !== "") this.search();
        const order = (a, b) =>
          b.score - a.score || (a.target >= tableCount) - (b.target >= tableCount) ||
          (lowered[a.target] < lowered[b.target] ? -1 : lowered[a.target] > lowered[b.target] ? 1 : a.target - b.target);
        // Sorting all would cost more than the rest when a single letter is given.
        const all = [...this.found.values()];
        const scores = Int32Array.from(all, (candidate) => -candidate.score).sort();
        const least = -(scores[this.limit - 1] ?? Infinity);
        const hits = all.filter((candidate) => candidate.score >= least).sort(order).slice(0, this.limit).map((candidate) => this.hit(candidate));
        return { hits, suggestion: hits.length ? null : this.suggestion };
      }

      search() {
        this.byName();
        if (this.text.includes(".")) this.byPath();
        if (this.enough(SUBSTRING) || !this.words.length) return;
        this.byWords();
        if (this.enough(SPREAD)) return;
        this.bySquashed();
        if (this.found.size < TYPO_BELOW) this.byTypo();
        if (this.found.size < TEXT_BELOW && text) this.byText();
        if (this.found.size || this.suggestion) return;
        const near = nearest(squash(this.text), squashed.names);
        const nearDatabase = near < 0 ? nearest(this.text, facets.db.folded) : -1;
        if (near >= 0) this.suggestion = names[near];
        else if (nearDatabase >= 0) this.suggestion = facets.db.values[nearDatabase];
      }

      // Tiers below this one cannot reach the first `limit` places any more.
      enough(tier) {
        let alive = 0;
        for (let above = tier; above <= EXACT; above++) alive += this.alive[above];
        return alive >= this.limit;
      }

      facetHits() {
        const hits = [];
        for (const dead of [0, 1]) {
          for (let table = 0; table < tableCount && hits.length < this.limit; table++) {
            if (!this.allowed[table] || deadTables[table] !== dead) continue;
            const column = this.columnOf?.get(table);
            const target = column === undefined ? table : tableCount + column;
            hits.push(this.hit({ target, table, tier: FACET, score: dead ? -1500 : 0, dead: dead === 1, more: 0, marks: [] }));
          }
        }
        return hits;
      }

      // Adds a table, a column or an alias (`entry`) to the candidates. `given.tables` narrows a
      // column's tables, `given.quality` says per table which tier it permits (0: none).
      offer(entry, tier, extra, given = {}) {
        let target = entry, alias = null, tables = given.tables;
        if (entry >= aliasesFrom) {
          target = aliasEntries.get(entry - aliasesFrom)[0];
          tables = aliasTables.get(entry - aliasesFrom);
          alias = names[entry];
        }
        let table = target, count = 1, dead = deadTables[target] === 1, length = names[entry].length;
        if (target < tableCount) {
          if (this.allowed && !this.allowed[target]) return;
        } else {
          const column = target - tableCount;
          let best = 0;
          count = 0;
          tables ??= columnTables.get(column);
          for (let i = 0; i < tables.length; i++) {
            const other = tables[i];
            if (this.allowed && !this.allowed[other]) continue;
            const quality = given.quality ? given.quality(other) : tier;
            if (!quality) continue;
            count++;
            const otherDead = deadTables[other] === 1 || (deadColumns.size > 0 && deadColumns.has(column * tableCount + other));
            if (best && (quality - best || dead - otherDead || rank[table] - rank[other]) <= 0) continue;
            [best, table, dead] = [quality, other, otherDead];
          }
          if (!count) return;
          tier = Math.min(tier, best);
          if (given.quality) length += names[table].length;
        }
        const score =
          tier * 1000 + extra + (target < tableCount ? TABLE_BONUS : bits(count)) -
          Math.min(length, MAX_LENGTH) - (alias === null ? 0 : ALIAS_PENALTY) - (dead ? (tier === EXACT ? 500 : 1500) : 0);
        const known = this.found.get(target);
        if (known && known.score >= score) return;
        if (known && !known.dead) this.alive[known.tier]--;
        if (!dead) this.alive[tier]++;
        this.found.set(target, { target, table, tier, score, dead, more: count - 1, alias, text: given.text, marks: given.marks });
      }

      byName() {
        const tier = (this.tier = fits(this.text));
        for (let wanted = EXACT; wanted >= SUBSTRING; wanted--) {
          for (let entry = 0; entry < names.length; entry++) if (tier[entry] === wanted) this.offer(entry, wanted, 0);
          if (this.enough(wanted)) return;
        }
      }

      // `database.table`, `table.column`, `database.table.column`, with the catalog's name before
      // them or not. Only the column, which may be nested, keeps dots.
      byPath() {
        let parts = this.text.split(".");
        if (parts.length > 2 && parts[0] === fold(index.catalog) && !facets.db.folded.includes(parts[0])) parts = parts.slice(1);
        const fitDatabase = facets.db.folded.map((name) => fit(name, parts[0]));
        const ofDatabase = (table) => fitDatabase[databaseOf[table]];
        const second = fits(parts[1]);
        for (let table = 0; table < tableCount && parts.length === 2; table++) {
          const tier = Math.min(ofDatabase(table), second[table]);
          if (tier) this.offer(table, tier, 0, { marks: [parts[0], parts[1], ""] });
        }
        const columns = (column, quality, marks) => {
          const tier = fits(column);
          for (let wanted = EXACT; wanted >= SUBSTRING; wanted--) {
            for (let entry = tableCount; entry < aliasesFrom; entry++) {
              if (tier[entry] === wanted) this.offer(entry, wanted, 0, { quality, marks });
            }
            if (this.enough(wanted)) return;
          }
        };
        const inner = parts.slice(1).join("."), first = fits(parts[0]);
        columns(inner, (table) => first[table], ["", parts[0], inner]);
        if (parts.length > 2) {
          const deep = parts.slice(2).join(".");
          columns(deep, (table) => Math.min(second[table], ofDatabase(table)), [parts[0], parts[1], deep]);
        }
      }

      // Which words occur in each name at all, at the beginning of a word, as a whole word.
      masks() {
        if (this.masked) return this.masked;
        const [any, begin, whole] = [0, 1, 2].map(() => new Uint16Array(names.length));
        this.words.forEach((word, i) => {
          scan(flat, starts, word, (entry, at, start, end) => {
            const begins = at === start || isSeparator(flat[at - 1]);
            // One or two letters are in nearly every name.
            if (begins || word.length > 2) any[entry] |= 1 << i;
            if (!begins) return true;
            begin[entry] |= 1 << i;
            if (at + word.length === end || isSeparator(flat[at + word.length])) whole[entry] |= 1 << i;
            return true;
          });
        });
        const ofDatabase = facets.db.folded.map((name) => {
          const parts = wordsOf(name);
          return this.words.reduce((mask, word, i) => mask | (parts.some((part) => part.startsWith(word)) ? 1 << i : 0), 0);
        });
        return (this.masked = { any, begin, whole, ofDatabase });
      }

      // All words in one name; then words spread over database, table and column.
      byWords() {
        const { full, tier } = this;
        const { any, begin, whole, ofDatabase } = this.masks();
        for (let entry = 0; entry < names.length && this.words.length > 1; entry++) {
          if (tier[entry] || any[entry] !== full) continue;
          tier[entry] = WORDS;
          this.offer(entry, WORDS, whole[entry] === full ? 200 : begin[entry] === full ? 100 : 0);
        }
        if (this.enough(WORDS)) return;
        const outside = (table) => begin[table] | ofDatabase[databaseOf[table]];
        for (let table = 0; table < tableCount; table++) {
          if (tier[table] || outside(table) !== full) continue;
          tier[table] = SPREAD;
          this.offer(table, SPREAD, begin[table] ? 100 : 0);
        }
        for (let entry = tableCount; entry < aliasesFrom; entry++) {
          const missing = full & ~begin[entry];
          if (tier[entry] || !begin[entry] || !missing) continue;
          this.offer(entry, SPREAD, 0, { quality: (table) => ((outside(table) & missing) === missing ? SPREAD : 0) });
          if (this.found.has(entry)) tier[entry] = SPREAD;
        }
      }

      // Separators forgotten or misplaced. Short texts would match across words by chance.
      bySquashed() {
        const needle = squash(this.text);
        if (needle.length < 4) return;
        scan(squashed.flat, squashed.starts, needle, (entry, at, start, end) => {
          if (this.tier[entry]) return false;
          this.tier[entry] = SQUASHED;
          this.offer(entry, SQUASHED, at > start ? 0 : at + needle.length === end ? 200 : 100);
          return false;
        });
      }

      // Two views of a typo: the whole name with its separators ignored, which also forgives a
      // slip in a separator or a short word; and word by word, in any order.
      byTypo() {
        const needle = squash(this.text);
        const extra = new Int16Array(names.length).fill(-9999);
        const bound = typosAllowed(needle.length), mask = letters(needle);
        for (let entry = 0; entry < names.length && bound; entry++) {
          if (this.tier[entry] || tooFar(mask, squashed.letters[entry], bound)) continue;
          const prefix = distance(needle, squashed.names[entry], bound, true);
          if (prefix > bound) continue;
          const whole = distance(needle, squashed.names[entry], bound, false);
          extra[entry] = whole > bound ? -100 * prefix : Math.max(-100 * prefix, 60 - 100 * whole);
        }
        const matched = new Uint8Array(names.length), edits = new Uint8Array(names.length);
        this.words.forEach((word, place) => {
          const near = new Uint8Array(vocabulary.length).fill(255);
          const bound = typosAllowed(word.length), mask = letters(word), last = place === this.words.length - 1;
          for (let i = 0; i < vocabulary.length; i++) {
            if (word.length > 1 ? vocabulary[i].startsWith(word) : vocabulary[i] === word) near[i] = 0;
            else if (bound && !tooFar(mask, vocabularyLetters[i], bound)) {
              const least = distance(word, vocabulary[i], bound, last);
              if (least <= bound) near[i] = least;
            }
          }
          for (let entry = 0, i = 0; entry < names.length; entry++) {
            let least = 255;
            for (; i < spelledTo[entry]; i++) least = Math.min(least, near[spelled[i]]);
            if (matched[entry] !== place || least === 255) continue;
            matched[entry]++;
            edits[entry] += least;
          }
        });
        for (let entry = 0; entry < names.length; entry++) {
          if (this.tier[entry]) continue;
          if (matched[entry] === this.words.length && edits[entry] <= 3) extra[entry] = Math.max(extra[entry], 20 - 100 * edits[entry]);
          if (extra[entry] > -9999) this.offer(entry, TYPO, extra[entry]);
        }
      }

      // Words in descriptions; a word may also stand in the name.
      byText() {
        if (this.words.some((word) => word.length < 2)) return;
        const { begin } = this.masks();
        const mask = new Uint16Array(text.texts.length);
        this.words.forEach((word, i) => {
          scan(text.flat, text.starts, word, (line, at, start) => {
            if (at > start && /[a-z0-9\u0080-\uffff]/.test(text.flat[at - 1])) return true;
            mask[line] |= 1 << i;
            return false;
          });
        });
        for (let line = 0; line < mask.length; line++) {
          if (!mask[line]) continue;
          const target = line < tableCount ? line : tableCount + text.columns.get(line - tableCount)[0];
          if ((mask[line] | begin[target]) !== this.full || this.found.get(target)?.tier > TEXT) continue;
          const tables = line < tableCount ? undefined : text.tables.get(line - tableCount);
          this.offer(target, TEXT, 0, { text: text.texts[line], tables: tables?.length ? tables : undefined });
        }
      }

      hit({ target, table, tier, score, dead, more, alias, text, marks }) {
        const database = facets.db.values[databaseOf[table]];
        const column = target < tableCount ? null : names[target];
        const fields = [facets.db.folded[databaseOf[table]], lowered[table], column === null ? null : lowered[target]];
        const offsets = [0, database.length + 1, database.length + names[table].length + 2];
        const own = column === null ? 1 : 2;
        const ranges = [];
        const mark = (field, needle) => {
          const at = needle ? locate(fields[field], needle) : -1;
          if (at >= 0) ranges.push([offsets[field] + at, offsets[field] + at + needle.length]);
        };
        if (marks) marks.forEach((needle, field) => fields[field] !== null && mark(field, needle));
        else if (alias === null && tier >= SUBSTRING) mark(own, this.text);
        else if (alias === null && tier === WORDS) this.words.forEach((word) => mark(own, word));
        else if (tier === SPREAD) {
          for (const word of this.words) {
            const field = [2, 1, 0].find((field) => fields[field] !== null && fit(fields[field], word) >= BOUNDARY);
            if (field !== undefined) mark(field, word);
          }
        } else if (alias === null && tier === SQUASHED) {
          const needle = squash(this.text), kept = [...fields[own].split("").keys()].filter((i) => !isSeparator(fields[own][i]));
          const at = squash(fields[own]).indexOf(needle);
          ranges.push([offsets[own] + kept[at], offsets[own] + kept[at + needle.length - 1] + 1]);
        }
        ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        const merged = ranges.slice(0, 1);
        for (const [start, end] of ranges.slice(1)) {
          const last = merged[merged.length - 1];
          if (start <= last[1]) last[1] = Math.max(last[1], end);
          else merged.push([start, end]);
        }
        return {
          database, table: names[table], column, kind: facets.type.values[kindOf[table]], deprecated: dead,
          tier: TIERS[tier], score, ranges: merged, more, alias: alias ?? null, text: text ?? null,
        };
      }
    }

    return engine;
  }

  root.NeurolakeSearch = { load, addText: (engine, text) => engine.addText(text) };
  if (typeof module === "object" && module.exports) module.exports = root.NeurolakeSearch;
})(globalThis);
