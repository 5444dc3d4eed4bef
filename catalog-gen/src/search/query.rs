//! The ranking. The same one stands in `site/assets/search.js`; a test runs both on thousands of
//! random queries and demands equal answers, so a change here is a change there. Scores are
//! integers and every tie is broken, which makes "equal" mean "identical".

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::text::{
    MAX_LENGTH, Place, Squashed, To, Vocabulary, compare, distance, fold, is_separator, letters,
    locate, nearest, squash, too_far, typos_allowed, words,
};
use super::{Answer, Hit, SearchIndex, Tier};

/// What a column earns by standing in 512 tables.
const TABLE_BONUS: i32 = 10;
/// Within a tier a name beats an alias.
const ALIAS_PENALTY: i32 = 20;
/// Hits; with more of them a typo is unlikely.
const TYPO_BELOW: usize = 10;
/// Hits; with more of them the descriptions aren't asked.
const TEXT_BELOW: usize = 5;
const MAX_WORDS: usize = 16;
/// The tiers of a single name or path, best first.
const NAME_TIERS: [Tier; 4] = [Tier::Exact, Tier::Prefix, Tier::Boundary, Tier::Substring];

impl SearchIndex {
    /// Tables and columns that fit, best first.
    ///
    /// The text is free words, a part of a name, `database.table`, `table.column` or
    /// `database.table.column`, and facets: `db:` `owner:` `tag:` `type:` (or `format:`) `col:`
    /// `is:deprecated` `is:ingest`. The value of a facet may be cut short.
    pub fn query(&self, text: &str, limit: usize) -> Answer {
        let text = cut(text);
        let pieces: Vec<&str> = text
            .split([' ', '\t', '\r', '\n', '\u{a0}'])
            .filter(|piece| !piece.is_empty())
            .collect();
        Query::new(self, &pieces, limit).answer()
    }

    fn squashed(&self) -> &Squashed {
        self.squashed.get_or_init(|| Squashed::new(&self.names))
    }

    fn vocabulary(&self) -> &Vocabulary {
        self.vocabulary.get_or_init(|| Vocabulary::new(&self.names))
    }

    /// How well each name fits.
    fn fits(&self, needle: &str) -> Vec<Option<Tier>> {
        if needle.is_empty() {
            return vec![Some(Tier::Prefix); self.names.len()];
        }
        let mut tier = vec![None; self.names.len()];
        self.names.scan(needle, |place| {
            let found = if place.is_whole() {
                Tier::Exact
            } else if place.start == 0 {
                Tier::Prefix
            } else if place.begins_word() {
                Tier::Boundary
            } else {
                Tier::Substring
            };
            tier[place.line] = tier[place.line].max(Some(found));
            found == Tier::Substring
        });
        tier
    }

    fn column_names(&self) -> impl Iterator<Item = &str> {
        (self.table_count..self.aliases_from).map(|entry| self.names.folded(entry))
    }

    fn database(&self, table: usize) -> &str {
        self.databases
            .values
            .folded(self.database_of[table] as usize)
    }
}

/// At most [`MAX_LENGTH`] UTF-16 code units.
fn cut(text: &str) -> &str {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > MAX_LENGTH {
            return &text[..at];
        }
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Database,
    Owner,
    Tag,
    Type,
    Column,
    Is,
}

/// `key:value`; `a::b` is a path instead.
fn parse_facet(piece: &str) -> Option<(Key, &str, &str)> {
    let (key, value) = piece.split_once(':')?;
    if value.starts_with(':') {
        return None;
    }
    let parsed = match key.to_ascii_lowercase().as_str() {
        "db" => Key::Database,
        "owner" => Key::Owner,
        "tag" => Key::Tag,
        "type" | "format" => Key::Type,
        "col" => Key::Column,
        "is" => Key::Is,
        _ => return None,
    };
    Some((parsed, key, value))
}

struct Query<'a> {
    index: &'a SearchIndex,
    limit: usize,
    text: String,
    words: Vec<String>,
    /// A bit per word.
    full: u16,
    /// Per table whether the facets let it through; `None`: no facets.
    allowed: Option<Vec<bool>>,
    /// The column by which `col:` took a table.
    column_of: Option<HashMap<usize, usize>>,
    suggestion: Option<String>,
    /// Best tier per entry so far.
    tier: Vec<Option<Tier>>,
    /// By entry of the table or column.
    found: HashMap<usize, Candidate<'a>>,
    /// Per tier, candidates that aren't deprecated.
    alive: [usize; Tier::Exact as usize + 1],
}

struct Candidate<'a> {
    target: usize,
    table: usize,
    tier: Tier,
    score: i32,
    dead: bool,
    more: usize,
    alias: Option<&'a str>,
    text: Option<&'a str>,
    marks: Option<[String; 3]>,
}

/// What [`Query::offer`] may be told about a column.
#[derive(Default)]
struct Offer<'a, 'q> {
    /// The only tables to consider.
    tables: Option<&'a [u32]>,
    /// Which tier a table permits.
    quality: Option<&'q dyn Fn(usize) -> Option<Tier>>,
    text: Option<&'a str>,
    marks: Option<[String; 3]>,
}

/// Which words occur in each name.
struct Masks {
    any: Vec<u16>,
    /// At the beginning of a word.
    begin: Vec<u16>,
    /// As a whole word.
    whole: Vec<u16>,
    /// Per database, at the beginning of a word.
    of_database: Vec<u16>,
}

/// How well a whole name fits.
fn fit(name: &str, needle: &str) -> Option<Tier> {
    let at = locate(name, needle)?;
    Some(match name[..at].chars().next_back() {
        Some(before) if is_separator(before) => Tier::Boundary,
        Some(_) => Tier::Substring,
        None if name.len() == needle.len() => Tier::Exact,
        None => Tier::Prefix,
    })
}

impl<'a> Query<'a> {
    fn new(index: &'a SearchIndex, pieces: &[&str], limit: usize) -> Self {
        let mut query = Self {
            index,
            limit,
            text: String::new(),
            words: Vec::new(),
            full: 0,
            allowed: None,
            column_of: None,
            suggestion: None,
            tier: Vec::new(),
            found: HashMap::new(),
            alive: [0; Tier::Exact as usize + 1],
        };
        let free = query.facets(pieces);
        query.text = fold(&free.join(" ")).replace("::", ".");
        query.words = words(&query.text)
            .take(MAX_WORDS)
            .map(str::to_owned)
            .collect();
        query.full = query.words.iter().fold(0, |mask, _| mask << 1 | 1);
        query
    }

    /// Narrows `allowed` by the pieces that are facets and returns the others.
    fn facets<'p>(&mut self, pieces: &[&'p str]) -> Vec<&'p str> {
        let mut free = Vec::new();
        // A table has one database, owner and type: two of them mean "either", two tags mean both.
        let mut groups: BTreeMap<(Key, &str), Vec<bool>> = BTreeMap::new();
        for (place, &piece) in pieces.iter().enumerate() {
            let Some((key, written, value)) = parse_facet(piece) else {
                free.push(piece);
                continue;
            };
            let (tables, near) = self.facet(key, value);
            if let Some(near) = near {
                let mut meant: Vec<Cow<'_, str>> =
                    pieces.iter().map(|&piece| piece.into()).collect();
                meant[place] = format!("{written}:{near}").into();
                self.suggestion = Some(meant.join(" "));
            }
            let either = matches!(key, Key::Database | Key::Owner | Key::Type);
            let group = groups.entry((key, if either { "" } else { piece }));
            let group = group.or_insert_with(|| vec![false; self.index.table_count]);
            for table in tables {
                group[table] = true;
            }
        }
        self.allowed = groups.into_values().reduce(|mut all, one| {
            for (all, one) in all.iter_mut().zip(one) {
                *all &= one;
            }
            all
        });
        free
    }

    /// The tables with that facet, or the value that may have been meant.
    fn facet(&mut self, key: Key, value: &str) -> (Vec<usize>, Option<&'a str>) {
        let index = self.index;
        let wanted = fold(value);
        let facet = match key {
            Key::Column => {
                let names: Vec<&str> = index.column_names().collect();
                let (chosen, near) = choose(&wanted, &names);
                let mut tables = Vec::new();
                for column in chosen {
                    for &table in index.column_tables.get(column) {
                        tables.push(table as usize);
                        let taken_by = self.column_of.get_or_insert_default();
                        taken_by.entry(table as usize).or_insert(column);
                    }
                }
                return (
                    tables,
                    near.map(|near| index.names.get(index.table_count + near)),
                );
            }
            Key::Database => &index.databases,
            Key::Owner => &index.owners,
            Key::Tag => &index.tags,
            Key::Type => &index.types,
            Key::Is => &index.states,
        };
        let names: Vec<&str> = facet.values.iter_folded().collect();
        let (chosen, near) = choose(&wanted, &names);
        let tables = chosen.into_iter().flat_map(|value| facet.tables.get(value));
        (
            tables.map(|&table| table as usize).collect(),
            near.map(|near| facet.values.get(near)),
        )
    }

    fn answer(mut self) -> Answer {
        if self.limit > 0 && self.text.is_empty() && self.allowed.is_some() {
            let hits = self.facet_hits();
            return Answer {
                hits,
                suggestion: self.suggestion,
            };
        }
        if self.limit > 0 && !self.text.is_empty() {
            self.search();
        }
        let index = self.index;
        let mut candidates: Vec<Candidate<'a>> = self.found.drain().map(|(_, one)| one).collect();
        candidates.sort_unstable_by(|a, b| {
            (Reverse(a.score), a.target >= index.table_count)
                .cmp(&(Reverse(b.score), b.target >= index.table_count))
                .then_with(|| compare(index.names.folded(a.target), index.names.folded(b.target)))
                .then(a.target.cmp(&b.target))
        });
        candidates.truncate(self.limit);
        let hits: Vec<Hit> = candidates.iter().map(|one| self.hit(one)).collect();
        let suggestion = self.suggestion.filter(|_| hits.is_empty());
        Answer { hits, suggestion }
    }

    fn search(&mut self) {
        self.by_name();
        if self.text.contains('.') {
            self.by_path();
        }
        if self.enough(Tier::Substring) || self.words.is_empty() {
            return;
        }
        let masks = self.masks();
        self.by_words(&masks);
        if self.enough(Tier::Spread) {
            return;
        }
        self.by_squashed();
        if self.found.len() < TYPO_BELOW {
            self.by_typo();
        }
        if self.found.len() < TEXT_BELOW {
            self.by_text(&masks);
        }
        if self.found.is_empty() && self.suggestion.is_none() {
            self.suggestion = self.suggest().map(str::to_owned);
        }
    }

    /// A name, otherwise a database, that may have been meant.
    fn suggest(&self) -> Option<&'a str> {
        let index = self.index;
        let name = nearest(&units(&squash(&self.text)), index.squashed().names());
        name.map(|entry| index.names.get(entry)).or_else(|| {
            let databases: Vec<Vec<u16>> =
                index.databases.values.iter_folded().map(units).collect();
            let near = nearest(&units(&self.text), databases.iter().map(Vec::as_slice));
            near.map(|place| index.databases.values.get(place))
        })
    }

    /// Tiers below this one cannot reach the first `limit` places any more.
    fn enough(&self, tier: Tier) -> bool {
        self.alive[tier as usize..].iter().sum::<usize>() >= self.limit
    }

    fn facet_hits(&self) -> Vec<Hit> {
        let index = self.index;
        let allowed = |table: &usize| self.allowed.as_ref().is_none_or(|all| all[*table]);
        let (dead, alive): (Vec<usize>, Vec<usize>) = (0..index.table_count)
            .filter(allowed)
            .partition(|&table| index.dead_tables[table]);
        let tables = alive.into_iter().chain(dead).take(self.limit);
        let candidates = tables.map(|table| {
            let column = self.column_of.as_ref().and_then(|of| of.get(&table));
            let dead = index.dead_tables[table];
            Candidate {
                target: column.map_or(table, |column| index.table_count + column),
                table,
                tier: Tier::Facet,
                score: if dead { -1500 } else { 0 },
                dead,
                more: 0,
                alias: None,
                text: None,
                marks: None,
            }
        });
        candidates.map(|candidate| self.hit(&candidate)).collect()
    }

    /// Adds a table, a column or an alias (`entry`) to the candidates.
    fn offer(&mut self, entry: usize, tier: Tier, extra: i32, offer: Offer<'a, '_>) {
        let index = self.index;
        let mut tier = tier;
        let mut target = entry;
        let mut tables = offer.tables;
        let mut alias = None;
        if let Some(place) = entry.checked_sub(index.aliases_from) {
            target = index.alias_entries[place] as usize;
            tables = Some(index.alias_tables.get(place));
            alias = Some(index.names.get(entry));
        }
        let mut length = index.names.units(entry);
        let allowed = |table: usize| self.allowed.as_ref().is_none_or(|all| all[table]);
        let (table, dead, count) = if let Some(column) = target.checked_sub(index.table_count) {
            let tables = tables.unwrap_or_else(|| index.column_tables.get(column));
            let mut best = None;
            let mut count = 0;
            for table in tables
                .iter()
                .map(|&table| table as usize)
                .filter(|&table| allowed(table))
            {
                let Some(quality) = offer.quality.map_or(Some(tier), |quality| quality(table))
                else {
                    continue;
                };
                count += 1;
                let key = (column * index.table_count + table) as u64;
                let dead = index.dead_tables[table] || index.dead_columns.contains(&key);
                let place = (Reverse(quality), dead, index.rank[table], table);
                best = Some(best.map_or(place, |best| place.min(best)));
            }
            let Some((Reverse(quality), dead, _, table)) = best else {
                return;
            };
            tier = tier.min(quality);
            if offer.quality.is_some() {
                length += index.names.units(table);
            }
            (table, dead, count)
        } else {
            if !allowed(target) {
                return;
            }
            (target, index.dead_tables[target], 1)
        };
        let bonus = if target < index.table_count {
            TABLE_BONUS
        } else {
            bits(count)
        };
        let demotion = match (dead, tier) {
            (false, _) => 0,
            (true, Tier::Exact) => 500,
            (true, _) => 1500,
        };
        let costs = small(length.min(MAX_LENGTH)) + alias.map_or(0, |_| ALIAS_PENALTY) + demotion;
        let score = tier as i32 * 1000 + extra + bonus - costs;
        if let Some(known) = self.found.get(&target) {
            if known.score >= score {
                return;
            }
            self.alive[known.tier as usize] -= usize::from(!known.dead);
        }
        self.alive[tier as usize] += usize::from(!dead);
        let Offer { text, marks, .. } = offer;
        let more = count - 1;
        self.found.insert(
            target,
            Candidate {
                target,
                table,
                tier,
                score,
                dead,
                more,
                alias,
                text,
                marks,
            },
        );
    }

    fn by_name(&mut self) {
        self.tier = self.index.fits(&self.text);
        for wanted in NAME_TIERS {
            for entry in 0..self.tier.len() {
                if self.tier[entry] == Some(wanted) {
                    self.offer(entry, wanted, 0, Offer::default());
                }
            }
            if self.enough(wanted) {
                return;
            }
        }
    }

    /// `database.table`, `table.column`, `database.table.column`, with the catalog's name before
    /// them or not. Only the column, which may be nested, keeps dots.
    fn by_path(&mut self) {
        let index = self.index;
        let text = self.text.clone();
        let mut parts: Vec<&str> = text.split('.').collect();
        let databases = &index.databases.values;
        if parts.len() > 2
            && parts[0] == index.catalog
            && databases.iter_folded().all(|name| name != parts[0])
        {
            parts.remove(0);
        }
        let fit_database: Vec<Option<Tier>> = databases
            .iter_folded()
            .map(|name| fit(name, parts[0]))
            .collect();
        let of_database = |table: usize| fit_database[index.database_of[table] as usize];
        let second = index.fits(parts[1]);
        let tables = if parts.len() == 2 {
            index.table_count
        } else {
            0
        };
        for (table, &fits) in second.iter().enumerate().take(tables) {
            if let Some(tier) = fits.min(of_database(table)) {
                let marks = Some([parts[0].to_owned(), parts[1].to_owned(), String::new()]);
                let offer = Offer {
                    marks,
                    ..Offer::default()
                };
                self.offer(table, tier, 0, offer);
            }
        }
        let (inner, first) = (parts[1..].join("."), index.fits(parts[0]));
        self.columns_by_path(&inner, &|table| first[table], &["", parts[0], &inner]);
        if parts.len() > 2 {
            let deep = parts[2..].join(".");
            let quality = |table: usize| second[table].min(of_database(table));
            self.columns_by_path(&deep, &quality, &[parts[0], parts[1], &deep]);
        }
    }

    fn columns_by_path(
        &mut self,
        column: &str,
        quality: &dyn Fn(usize) -> Option<Tier>,
        marks: &[&str; 3],
    ) {
        let tiers = self.index.fits(column);
        let columns = self.index.table_count..self.index.aliases_from;
        for wanted in NAME_TIERS {
            for entry in columns
                .clone()
                .filter(|&entry| tiers[entry] == Some(wanted))
            {
                let marks = Some(marks.map(str::to_owned));
                let offer = Offer {
                    quality: Some(quality),
                    marks,
                    ..Offer::default()
                };
                self.offer(entry, wanted, 0, offer);
            }
            if self.enough(wanted) {
                return;
            }
        }
    }

    fn masks(&self) -> Masks {
        let index = self.index;
        let mut masks = Masks {
            any: vec![0; index.names.len()],
            begin: vec![0; index.names.len()],
            whole: vec![0; index.names.len()],
            of_database: vec![0; index.databases.values.len()],
        };
        for (bit, word) in self.words.iter().enumerate() {
            let bit = 1 << bit;
            // One or two letters are in nearly every name.
            let inside = units(word).len() > 2;
            index.names.scan(word, |place| {
                let begins = place.begins_word();
                if begins || inside {
                    masks.any[place.line] |= bit;
                }
                if begins {
                    masks.begin[place.line] |= bit;
                    if place.ends_word() {
                        masks.whole[place.line] |= bit;
                    }
                }
                true
            });
            for (mask, name) in masks
                .of_database
                .iter_mut()
                .zip(index.databases.values.iter_folded())
            {
                if words(name).any(|part| part.starts_with(word.as_str())) {
                    *mask |= bit;
                }
            }
        }
        masks
    }

    /// All words in one name; then words spread over database, table and column.
    fn by_words(&mut self, masks: &Masks) {
        let index = self.index;
        let full = self.full;
        for entry in 0..index.names.len() {
            if self.words.len() < 2 || self.tier[entry].is_some() || masks.any[entry] != full {
                continue;
            }
            self.tier[entry] = Some(Tier::Words);
            let extra = if masks.whole[entry] == full {
                200
            } else if masks.begin[entry] == full {
                100
            } else {
                0
            };
            self.offer(entry, Tier::Words, extra, Offer::default());
        }
        if self.enough(Tier::Words) {
            return;
        }
        let outside = |table: usize| {
            masks.begin[table] | masks.of_database[index.database_of[table] as usize]
        };
        for table in 0..index.table_count {
            if self.tier[table].is_none() && outside(table) == full {
                self.tier[table] = Some(Tier::Spread);
                let extra = if masks.begin[table] == 0 { 0 } else { 100 };
                self.offer(table, Tier::Spread, extra, Offer::default());
            }
        }
        for entry in index.table_count..index.aliases_from {
            let missing = full & !masks.begin[entry];
            if self.tier[entry].is_some() || masks.begin[entry] == 0 || missing == 0 {
                continue;
            }
            let covers = |table| (outside(table) & missing == missing).then_some(Tier::Spread);
            let offer = Offer {
                quality: Some(&covers),
                ..Offer::default()
            };
            self.offer(entry, Tier::Spread, 0, offer);
            if self.found.contains_key(&entry) {
                self.tier[entry] = Some(Tier::Spread);
            }
        }
    }

    /// Separators forgotten or misplaced. Short texts would match across words by chance.
    fn by_squashed(&mut self) {
        let needle = squash(&self.text);
        if units(&needle).len() < 4 {
            return;
        }
        let mut places: Vec<(usize, i32)> = Vec::new();
        self.index.squashed().scan(&needle, |place: Place<'_>| {
            let extra = match place.start {
                0 if place.is_whole() => 200,
                0 => 100,
                _ => 0,
            };
            places.push((place.line, extra));
            false
        });
        for (entry, extra) in places {
            if self.tier[entry].is_none() {
                self.tier[entry] = Some(Tier::Squashed);
                self.offer(entry, Tier::Squashed, extra, Offer::default());
            }
        }
    }

    /// Two views of a typo: the whole name with its separators ignored, which also forgives a slip
    /// in a separator or a short word; and word by word, in any order.
    fn by_typo(&mut self) {
        let count = self.index.names.len();
        let names = self.index.squashed();
        let needle = units(&squash(&self.text));
        let bound = typos_allowed(needle.len());
        let mask = letters(&needle);
        let mut extra: Vec<Option<i32>> = vec![None; count];
        for (entry, extra) in extra.iter_mut().enumerate() {
            let found = self.tier[entry].is_some();
            if bound == 0 || found || too_far(mask, names.letters(entry), bound) {
                continue;
            }
            let edits = |to| distance(&needle, names.name(entry), bound, to).map(small);
            let Some(prefix) = edits(To::NearestPrefix) else {
                continue;
            };
            let whole = edits(To::Whole).map(|whole| 60 - 100 * whole);
            *extra = whole.max(Some(-100 * prefix));
        }
        let mut matched = vec![0; count];
        let mut edits = vec![0; count];
        for (place, word) in self.words.iter().enumerate() {
            let near = self.similar(word, place == self.words.len() - 1);
            for (entry, name) in self.index.vocabulary().names.iter().enumerate() {
                let least = name.iter().filter_map(|&word| near[word as usize]).min();
                if let Some(least) = least
                    && matched[entry] == place
                {
                    matched[entry] += 1;
                    edits[entry] += least;
                }
            }
        }
        for entry in (0..count)
            .filter(|&entry| self.tier[entry].is_none())
            .collect::<Vec<_>>()
        {
            if matched[entry] == self.words.len() && edits[entry] <= 3 {
                extra[entry] = extra[entry].max(Some(20 - 100 * small(edits[entry])));
            }
            if let Some(extra) = extra[entry] {
                self.offer(entry, Tier::Typo, extra, Offer::default());
            }
        }
    }

    /// Edits between `word` and each word of the vocabulary; `None`: too many.
    fn similar(&self, word: &str, last: bool) -> Vec<Option<usize>> {
        let wanted = units(word);
        let bound = typos_allowed(wanted.len());
        let mask = letters(&wanted);
        let to = if last { To::NearestPrefix } else { To::Whole };
        let vocabulary = self.index.vocabulary();
        let edits = |(other, &letters): (&Vec<u16>, &u32)| {
            if *other == wanted || wanted.len() > 1 && other.starts_with(&wanted) {
                return Some(0);
            }
            if bound == 0 || too_far(mask, letters, bound) {
                return None;
            }
            distance(&wanted, other, bound, to)
        };
        vocabulary
            .words
            .iter()
            .zip(&vocabulary.letters)
            .map(edits)
            .collect()
    }

    /// Words in descriptions; a word may also stand in the name.
    fn by_text(&mut self, masks: &Masks) {
        let index = self.index;
        if self.words.iter().any(|word| units(word).len() < 2) {
            return;
        }
        let mut mask = vec![0_u16; index.texts.len()];
        for (bit, word) in self.words.iter().enumerate() {
            index.texts.scan(word, |place| {
                if place
                    .before()
                    .is_some_and(|c| c.is_ascii_alphanumeric() || !c.is_ascii())
                {
                    return true;
                }
                mask[place.line] |= 1 << bit;
                false
            });
        }
        for (line, mask) in mask.into_iter().enumerate().filter(|(_, mask)| *mask != 0) {
            let place = line.checked_sub(index.table_count);
            let target = place.map_or(line, |place| {
                index.table_count + index.text_columns[place] as usize
            });
            let known = self
                .found
                .get(&target)
                .is_some_and(|known| known.tier > Tier::Text);
            if mask | masks.begin[target] != self.full || known {
                continue;
            }
            let tables = place.map(|place| index.text_tables.get(place));
            let offer = Offer {
                tables: tables.filter(|tables| !tables.is_empty()),
                text: Some(index.texts.get(line)),
                ..Offer::default()
            };
            self.offer(target, Tier::Text, 0, offer);
        }
    }

    fn hit(&self, candidate: &Candidate<'a>) -> Hit {
        let index = self.index;
        let table = candidate.table;
        let column = (candidate.target >= index.table_count).then_some(candidate.target);
        let database = self.index.database_of[table] as usize;
        Hit {
            database: index.databases.values.get(database).to_owned(),
            table: index.names.get(table).to_owned(),
            column: column.map(|column| index.names.get(column).to_owned()),
            kind: index.kinds[table],
            deprecated: candidate.dead,
            tier: candidate.tier,
            score: candidate.score,
            ranges: self.ranges(candidate),
            more: candidate.more,
            alias: candidate.alias.map(str::to_owned),
            text: candidate.text.map(str::to_owned),
        }
    }

    fn ranges(&self, candidate: &Candidate<'_>) -> Vec<(usize, usize)> {
        let index = self.index;
        let table = index.names.folded(candidate.table);
        let database = index.database(candidate.table);
        let own = usize::from(candidate.target >= index.table_count) + 1;
        let mut fields = vec![database, table];
        if own == 2 {
            fields.push(index.names.folded(candidate.target));
        }
        let length = |text: &str| text.encode_utf16().count();
        let offset = |field: usize, at: usize| {
            fields[..field]
                .iter()
                .map(|before| length(before) + 1)
                .sum::<usize>()
                + length(&fields[field][..at])
        };
        let mut ranges = Vec::new();
        let mut mark = |field: usize, needle: &str| {
            if !needle.is_empty()
                && let Some(at) = locate(fields[field], needle)
            {
                ranges.push((offset(field, at), offset(field, at + needle.len())));
            }
        };
        match candidate.tier {
            _ if candidate.marks.is_some() => {
                for (field, needle) in candidate.marks.iter().flatten().take(own + 1).enumerate() {
                    mark(field, needle);
                }
            }
            Tier::Spread => {
                for word in &self.words {
                    let begins = |field: &usize| fit(fields[*field], word) >= Some(Tier::Boundary);
                    if let Some(field) = (0..=own).rev().find(begins) {
                        mark(field, word);
                    }
                }
            }
            _ if candidate.alias.is_some() => {}
            Tier::Exact | Tier::Prefix | Tier::Boundary | Tier::Substring => mark(own, &self.text),
            Tier::Words => {
                for word in &self.words {
                    mark(own, word);
                }
            }
            Tier::Squashed => {
                let needle = squash(&self.text);
                let name = fields[own];
                let kept: Vec<(usize, char)> = name
                    .char_indices()
                    .filter(|(_, c)| !is_separator(*c))
                    .collect();
                let squashed = squash(name);
                if let Some(at) = squashed.find(&needle) {
                    let first = squashed[..at].chars().count();
                    let last = first + needle.chars().count() - 1;
                    let end = kept[last].0 + kept[last].1.len_utf8();
                    ranges.push((offset(own, kept[first].0), offset(own, end)));
                }
            }
            Tier::Typo | Tier::Text | Tier::Facet => {}
        }
        ranges.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }
}

/// Places of the value itself, otherwise of all values that begin with it; if there is none, the
/// place of the value that may have been meant.
fn choose(wanted: &str, values: &[&str]) -> (Vec<usize>, Option<usize>) {
    let places = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..values.len())
            .filter(|&place| fits(values[place]))
            .collect()
    };
    let mut chosen = places(&|value| value == wanted);
    if chosen.is_empty() {
        chosen = places(&|value| value.starts_with(wanted));
    }
    if !chosen.is_empty() {
        return (chosen, None);
    }
    let values: Vec<Vec<u16>> = values.iter().map(|value| units(value)).collect();
    (
        chosen,
        nearest(&units(wanted), values.iter().map(Vec::as_slice)),
    )
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A length or a number of edits.
fn small(number: usize) -> i32 {
    i32::try_from(number).expect("bounded by MAX_LENGTH")
}

fn bits(count: usize) -> i32 {
    (usize::BITS - count.leading_zeros()).cast_signed()
}
