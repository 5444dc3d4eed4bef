//! How deep a parser will recurse into a file, guessed from its bytes. Strings and comments count
//! too, so a guess may be too high; that only costs address space.

/// Up to here the stack of any thread is large enough.
const SHALLOW: usize = 100;

/// Deeper files are refused: no person wrote them.
const MAX_DEPTH: usize = 4000;

/// A level of the parser needs less, in a build without optimisation too.
const STACK_BYTES_PER_LEVEL: usize = 64 * 1024;

/// What a text needs.
#[derive(Debug, PartialEq)]
pub(crate) enum Nesting {
    /// Nothing special.
    Shallow,
    /// A stack of so many bytes.
    Deep(usize),
    /// More than is worth having.
    TooDeep,
}

/// Looks at every byte once.
pub(crate) fn nesting(text: &str) -> Nesting {
    let (mut brackets, mut angles, mut prefixes, mut chain) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => {
                brackets = brackets.saturating_sub(1);
                angles = 0;
                if byte == b'}' {
                    chain = 0;
                }
                continue;
            }
            b'<' => angles += 1,
            b'>' => {
                angles = angles.saturating_sub(1);
                continue;
            }
            // `!!!x`, `&&&T`
            b'!' | b'&' | b'*' | b'-' => prefixes += 1,
            // `a + b + c`, `a.b().c()`: flat to read, deep as a tree
            b'+' | b'.' | b'|' | b'?' => chain += 1,
            b';' | b',' => {
                (angles, chain) = (0, 0);
                continue;
            }
            b' ' | b'\n' => continue,
            _ => {
                prefixes = 0;
                continue;
            }
        }
        deepest = deepest.max(brackets + angles + prefixes + chain / 16);
    }
    if deepest > MAX_DEPTH {
        Nesting::TooDeep
    } else if deepest > SHALLOW {
        Nesting::Deep(deepest * STACK_BYTES_PER_LEVEL)
    } else {
        Nesting::Shallow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_source_is_shallow() {
        let text = include_str!("assemble.rs");
        assert_eq!(nesting(text), Nesting::Shallow);
        let rulers = "// ---------------------------------------------------------------------\n";
        assert_eq!(
            nesting(&rulers.repeat(100).replace('\n', "x\n")),
            Nesting::Shallow
        );
    }

    #[test]
    fn what_recurses_is_deep() {
        for part in [
            "(",
            "Vec<",
            "!",
            "&",
            "a.b().c().d().e().f().g().h().i().j().",
        ] {
            assert_ne!(nesting(&part.repeat(1000)), Nesting::Shallow, "{part}");
        }
        assert_eq!(nesting(&"[".repeat(5000)), Nesting::TooDeep);
    }
}
