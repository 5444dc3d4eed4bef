//! How names and words are compared.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Longest query, and the most that a long name costs.
pub(super) const MAX_LENGTH: usize = 200;

/// Lists of ascending numbers in one allocation.
#[derive(Default)]
pub(super) struct Lists {
    ends: Vec<u32>,
    values: Vec<u32>,
}

impl Lists {
    pub(super) fn push(&mut self, list: &[u32]) {
        self.values.extend_from_slice(list);
        self.ends.push(self.values.len() as u32);
    }

    pub(super) fn get(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start as usize..self.ends[index] as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.ends.len()).map(|index| self.get(index))
    }
}

impl<'a> FromIterator<&'a [u32]> for Lists {
    fn from_iter<I: IntoIterator<Item = &'a [u32]>>(lists: I) -> Self {
        let mut all = Self::default();
        for list in lists {
            all.push(list);
        }
        all
    }
}

/// Texts joined by newlines, as written and in the form that queries are compared with.
pub(super) struct Lines {
    pub(super) original: String,
    original_starts: Vec<usize>,
    folded: String,
    starts: Vec<usize>,
    units: Vec<u32>,
}

impl Lines {
    /// For identifiers: `-` and blanks are the same as `_`.
    pub(super) fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self::new(names, fold)
    }

    /// For prose.
    pub(super) fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::new(texts, lower)
    }

    fn new<'a>(lines: impl Iterator<Item = &'a str>, fold: fn(&str) -> String) -> Self {
        let mut all = Self {
            original: String::new(),
            original_starts: Vec::new(),
            folded: String::new(),
            starts: Vec::new(),
            units: Vec::new(),
        };
        for line in lines {
            // The newline separates, so it cannot stand in a name.
            let line = line.replace(['\n', '\r'], " ");
            all.original_starts.push(all.original.len());
            all.starts.push(all.folded.len());
            all.units.push(line.encode_utf16().count() as u32);
            all.original.push_str(&line);
            all.folded.push_str(&fold(&line));
            all.original.push('\n');
            all.folded.push('\n');
        }
        all.original.pop();
        all.folded.pop();
        all.original_starts.push(all.original.len() + 1);
        all.starts.push(all.folded.len() + 1);
        all
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    pub(super) fn get(&self, line: usize) -> &str {
        &self.original[self.original_starts[line]..self.original_starts[line + 1] - 1]
    }

    /// Some of the lines, as written.
    pub(super) fn lines(&self, from: usize, to: usize) -> &str {
        if from == to {
            return "";
        }
        &self.original[self.original_starts[from]..self.original_starts[to] - 1]
    }

    pub(super) fn folded(&self, line: usize) -> &str {
        &self.folded[self.starts[line]..self.starts[line + 1] - 1]
    }

    /// Length in UTF-16 code units, the length that JavaScript sees.
    pub(super) fn units(&self, line: usize) -> usize {
        self.units[line] as usize
    }

    pub(super) fn iter_folded(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|line| self.folded(line))
    }

    /// Calls `found` for each place of `needle`; see [`Place`]. It returns whether the rest of the
    /// line is of interest.
    pub(super) fn scan(&self, needle: &str, found: impl FnMut(Place<'_>) -> bool) {
        scan(&self.folded, &self.starts, needle, found);
    }
}

/// Where a needle was found.
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Place<'_> {
    /// The character before; `None` at the start of the line.
    pub(super) fn before(&self) -> Option<char> {
        self.text[..self.start].chars().next_back()
    }

    pub(super) fn begins_word(&self) -> bool {
        self.before().is_none_or(is_separator)
    }

    pub(super) fn ends_word(&self) -> bool {
        self.text[self.end..]
            .chars()
            .next()
            .is_none_or(is_separator)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.start == 0 && self.end == self.text.len()
    }
}

fn scan(flat: &str, starts: &[usize], needle: &str, mut found: impl FnMut(Place<'_>) -> bool) {
    let mut line = 0;
    let mut from = 0;
    while let Some(at) = flat.get(from..).and_then(|rest| rest.find(needle)) {
        let at = from + at;
        while starts[line + 1] <= at {
            line += 1;
        }
        let place = Place {
            line,
            text: &flat[starts[line]..starts[line + 1] - 1],
            start: at - starts[line],
            end: at - starts[line] + needle.len(),
        };
        from = if found(place) {
            at + flat[at..].chars().next().map_or(1, char::len_utf8)
        } else {
            starts[line + 1]
        };
    }
}

/// Names without separators.
pub(super) struct Squashed {
    flat: String,
    starts: Vec<usize>,
    units: Vec<Vec<u16>>,
    letters: Vec<u32>,
}

impl Squashed {
    pub(super) fn new(names: &Lines) -> Self {
        let mut starts = vec![0];
        let mut flat = String::with_capacity(names.folded.len());
        for name in names.iter_folded() {
            flat.extend(name.chars().filter(|c| !is_separator(*c)));
            flat.push('\n');
            starts.push(flat.len());
        }
        let units: Vec<Vec<u16>> = flat
            .lines()
            .map(|name| name.encode_utf16().collect())
            .collect();
        flat.pop();
        let letters = units.iter().map(|name| letters(name)).collect();
        Self {
            flat,
            starts,
            units,
            letters,
        }
    }

    pub(super) fn scan(&self, needle: &str, found: impl FnMut(Place<'_>) -> bool) {
        scan(&self.flat, &self.starts, needle, found);
    }

    pub(super) fn name(&self, entry: usize) -> &[u16] {
        &self.units[entry]
    }

    pub(super) fn letters(&self, entry: usize) -> u32 {
        self.letters[entry]
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &[u16]> {
        self.units.iter().map(Vec::as_slice)
    }
}

/// The distinct words of all names, and the names as numbers of words.
#[derive(Default)]
pub(super) struct Vocabulary {
    pub(super) words: Vec<Vec<u16>>,
    pub(super) letters: Vec<u32>,
    pub(super) names: Vec<Vec<u32>>,
}

impl Vocabulary {
    pub(super) fn new(names: &Lines) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut vocabulary = Self::default();
        for name in names.iter_folded() {
            let number = |word| {
                *numbers.entry(word).or_insert_with(|| {
                    let units: Vec<u16> = word.encode_utf16().collect();
                    vocabulary.letters.push(letters(&units));
                    vocabulary.words.push(units);
                    vocabulary.words.len() as u32 - 1
                })
            };
            vocabulary.names.push(words(name).map(number).collect());
        }
        vocabulary
    }
}

pub(super) fn is_separator(c: char) -> bool {
    c == '_' || c == '.'
}

/// Lower case, character by character, so that offsets stay those of the text.
pub(super) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = |c: char| {
        let mut low = c.to_lowercase();
        match (low.next(), low.next()) {
            (Some(one), None) if one.len_utf16() == c.len_utf16() => one,
            _ => c,
        }
    };
    text.chars().map(lower).collect()
}

/// Blank and `-` separate the words of a name just as `_` does.
pub(super) fn fold(text: &str) -> String {
    lower(text).replace([' ', '-'], "_")
}

pub(super) fn squash(text: &str) -> String {
    text.replace(is_separator, "")
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_separator).filter(|word| !word.is_empty())
}

/// The order of strings in JavaScript.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The first place where a word begins with `needle`, otherwise the first place at all.
pub(super) fn locate(name: &str, needle: &str) -> Option<usize> {
    let mut places = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    let mut begins = places
        .by_ref()
        .filter(|&at| name[..at].chars().next_back().is_none_or(is_separator));
    begins
        .find(|&at| name[at..].starts_with(needle))
        .or_else(|| name.find(needle))
}

/// A letter that the other text lacks costs an edit, so most pairs need no [`distance`].
pub(super) fn letters(text: &[u16]) -> u32 {
    text.iter().fold(0, |mask, &unit| mask | 1 << (unit & 31))
}

pub(super) fn too_far(a: u32, b: u32, bound: usize) -> bool {
    (a & !b).count_ones() as usize > bound
}

pub(super) fn typos_allowed(length: usize) -> usize {
    match length {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

/// What a text is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Whole,
    NearestPrefix,
}

/// Damerau-Levenshtein distance (neighbours may swap) of `a` to `b`; `None` above `bound`.
pub(super) fn distance(a: &[u16], b: &[u16], bound: usize, to: To) -> Option<usize> {
    let too_long = to == To::Whole && b.len() > a.len() + bound;
    if b.len() + bound < a.len() || too_long {
        return None;
    }
    let width = b.len().min(a.len() + bound);
    let mut before = [0_u8; 2 * MAX_LENGTH];
    let mut above = [0; 2 * MAX_LENGTH];
    let mut row = [0; 2 * MAX_LENGTH];
    for (j, edits) in row[..=width].iter_mut().enumerate() {
        *edits = j as u8;
    }
    let far = bound as u8 + 1;
    let mut nearest = 0;
    for i in 1..=a.len() {
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
        row[0] = i as u8;
        nearest = row[0];
        // Further off the diagonal everything is above the bound.
        let low = i.saturating_sub(bound).max(1);
        let high = width.min(i + bound);
        if low > 1 {
            row[low - 1] = far;
        }
        for j in low..=high {
            let change = above[j - 1] + u8::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row[j] = least;
            nearest = nearest.min(least);
        }
        row[high + 1] = far;
        if nearest >= far {
            return None;
        }
    }
    let edits = if to == To::Whole { row[width] } else { nearest };
    (edits < far).then_some(edits.into())
}

/// The name that somebody may have meant, a bit further away than a typo.
pub(super) fn nearest<'a>(text: &[u16], names: impl Iterator<Item = &'a [u16]>) -> Option<usize> {
    let mut bound = match text.len() {
        0..4 => return None,
        length => (typos_allowed(length) + 1).min(length / 3),
    };
    let mask = letters(text);
    let mut best = None;
    for (place, name) in names.enumerate() {
        if name.len().abs_diff(text.len()) > bound {
            continue;
        }
        let other = letters(name);
        if too_far(mask, other, bound) || too_far(other, mask, bound) {
            continue;
        }
        let Some(whole) = distance(text, name, bound, To::Whole) else {
            continue;
        };
        best = Some(place);
        if whole <= 1 {
            break;
        }
        bound = whole - 1;
    }
    best
}

/// The words of a Markdown summary: without destinations of links and code marks.
pub(super) fn plain(summary: &str) -> String {
    let mut plain = String::with_capacity(summary.len());
    let mut rest = summary;
    while let Some(at) = rest.find("](") {
        let Some(end) = rest[at..].find(')') else {
            break;
        };
        plain.push_str(&rest[..at]);
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    plain.retain(|c| !matches!(c, '`' | '[' | ']' | '*' | '\\'));
    plain
}
