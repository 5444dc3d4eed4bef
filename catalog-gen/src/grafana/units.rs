//! Units of columns as Grafana names them.

/// Unit of a column, and Grafana's name where it has one that only means this: a bare `g` is a
/// gram to one table and an acceleration to another.
#[rustfmt::skip]
const KNOWN: &[(&str, &str)] = &[
    ("%", "percent"), ("A", "amp"), ("Ah", "amph"), ("B", "bytes"), ("B/s", "Bps"), ("EUR", "currencyEUR"),
    ("F", "farad"), ("GBP", "currencyGBP"), ("GiB", "gbytes"), ("Hz", "hertz"), ("J", "joule"), ("JPY", "currencyJPY"),
    ("K", "kelvin"), ("KiB", "kbytes"), ("MOhm", "Mohm"), ("MiB", "mbytes"), ("N", "forceN"), ("Ohm", "ohm"),
    ("Pa", "pressurepa"), ("USD", "currencyUSD"), ("V", "volt"), ("VA", "voltamp"), ("W", "watt"), ("Wh", "watth"),
    ("bar", "pressurebar"), ("bit/s", "bps"), ("dB", "dB"), ("d", "d"), ("deg", "degree"), ("degC", "celsius"),
    ("degF", "fahrenheit"), ("h", "h"), ("hPa", "pressurehpa"), ("kB", "deckbytes"), ("kB/s", "KBs"), ("kOhm", "kohm"),
    ("kPa", "pressurekpa"), ("kV", "kvolt"), ("kW", "kwatt"), ("kWh", "kwatth"), ("kbit/s", "Kbits"), ("kg", "masskg"),
    ("km", "lengthkm"), ("km/h", "velocitykmh"), ("l", "litre"), ("lx", "lux"), ("m", "lengthm"), ("m/s", "velocityms"),
    ("m/s2", "accMS2"), ("mA", "mamp"), ("mAh", "mamph"), ("mV", "mvolt"), ("mW", "mwatt"), ("mbar", "pressurembar"),
    ("mg", "massmg"), ("min", "m"), ("ml", "mlitre"), ("mm", "lengthmm"), ("ms", "ms"), ("ns", "ns"),
    ("ppm", "ppm"), ("rad", "radian"), ("rpm", "rotrpm"), ("s", "s"), ("us", "µs"),
];

/// What stands in a panel's `unit`: values of an unknown unit show it as it is declared.
pub(super) fn grafana_unit(unit: Option<&str>) -> String {
    let Some(unit) = unit else {
        return "short".to_owned();
    };
    match KNOWN.iter().find(|(known, _)| *known == unit) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("suffix:{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_once_and_an_unknown_one_is_shown() {
        let mut names: Vec<&str> = KNOWN.iter().map(|(unit, _)| *unit).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KNOWN.len());
        assert_eq!(grafana_unit(Some("degC")), "celsius");
        assert_eq!(grafana_unit(Some("mbar l/s")), "suffix:mbar l/s");
        assert_eq!(grafana_unit(Some("g")), "suffix:g");
        assert_eq!(grafana_unit(None), "short");
    }
}
