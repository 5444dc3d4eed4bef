//! "Did you mean": the nearest of a set of names.

/// The candidate that is closest to `name`, if any is close enough to be a typing mistake.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&name, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_recognised_and_nonsense_is_not() {
        assert_eq!(nearest("spiks", ["spikes", "units"]), Some("spikes"));
        assert_eq!(nearest("zebra", ["spikes", "units"]), None);
    }
}
