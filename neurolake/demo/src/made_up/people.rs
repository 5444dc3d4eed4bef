//! The study, the colony and the storeroom.

use neurolake::made_up::{Maker, day};
use neurolake::{recipe, row};

use super::{IMPLANTS, usual};

recipe!("clinical.participants", participants);
recipe!("clinical.adverse_events", adverse_events);
recipe!("clinical.case_keys", case_keys);
recipe!("lab.animals", animals);
recipe!("lab.reagents", reagents);

const CODES: [&str; 8] = [
    "P-01", "P-02", "P-03", "P-04", "P-05", "P-06", "P-07", "P-08",
];

fn participants(maker: &mut Maker<'_>) {
    for (number, code) in (0..).zip(CODES) {
        let mut random = maker.random("participant").nth(number);
        let implant = IMPLANTS.iter().find(|implant| implant.subject == code);
        let left = match code {
            "P-01" => Some("2025-11-30"),
            "P-07" => Some("2025-12-19"),
            _ => None,
        };
        let diagnosis = match number % 4 {
            1 => "ALS",
            3 => "stroke",
            _ => "spinal cord injury",
        };
        maker.row(row! {
            "code" => code,
            "consented_on" => implant.map_or(day("2025-10-20") + number, |i| day(i.implanted) - 80),
            "left_on" => left,
            "diagnosis" => diagnosis,
            "injury_level" => (diagnosis == "spinal cord injury")
                .then(|| random.pick(&["C4", "C5", "C6"])),
            "handedness" => if number == 4 { "left" } else { "right" },
            "implant_id" => implant.filter(|_| left.is_none()).map(|implant| implant.id),
            "weekly_hours" => random.pick(&[12.0, 16.0, 20.0, 24.5]),
        });
    }
}

fn adverse_events(maker: &mut Maker<'_>) {
    let terms = [
        ("Headache", "mild", "unrelated"),
        ("Implant site pain", "mild", "probable"),
        ("Device heating", "mild", "causal"),
        ("Urinary tract infection", "moderate", "unrelated"),
        ("Fatigue", "mild", "possible"),
        ("Implant site infection", "severe", "probable"),
        ("Seizure", "severe", "possible"),
    ];
    let mut random = maker.random("adverse events");
    for number in 1..=48_i64 {
        let (term, severity, related) = usual(&mut random, &terms);
        let started = day("2024-06-01") + number * 13 + random.whole(0, 9);
        let open = number > 22 && random.chance(0.55);
        maker.row(row! {
            "event_id" => format!("AE-{number:03}"),
            "participant" => CODES[usize::try_from(random.whole(0, 4)).unwrap_or(0)],
            "started_on" => started,
            "resolved_on" => (!open).then(|| started + random.whole(1, 40)),
            "term" => term,
            "severity" => severity,
            "serious" => severity == "severe",
            "device_related" => related,
            "action" => random.chance(0.7).then(|| {
                random.pick(&["none", "medication", "charging paused for a day", "seen at the clinic"])
            }),
        });
    }
}

fn case_keys(maker: &mut Maker<'_>) {
    for (number, code) in (0..).zip(CODES) {
        let mut random = maker.random("case").nth(number);
        maker.row(row! {
            "code" => code,
            "case_number" => format!("KH-{:07}", random.whole(1_000_000, 9_999_999)),
            "erase_after" => day("2041-01-01") + number * 91,
        });
    }
}

fn animals(maker: &mut Maker<'_>) {
    let kinds: [(&str, &[&str], f64); 4] = [
        ("sheep", &["Merino", "Texel", "Suffolk"], 71.0),
        ("pig", &["Goettingen", "Yucatan"], 38.0),
        ("rat", &["Long Evans", "Sprague Dawley"], 0.41),
        ("macaque", &["mulatta"], 8.4),
    ];
    let names = [
        "Alma", "Bruno", "Clover", "Dora", "Emil", "Flora", "Gus", "Hazel",
    ];
    for number in 290..=290 + maker.scaled(170.0).max(150) {
        let mut random = maker.random("animal").nth(number);
        let (species, strains, weight) = usual(&mut random, &kinds);
        let (species, strains, weight) = match number {
            388 | 397 | 412 => (kinds[0].0, kinds[0].1, kinds[0].2),
            431 => (kinds[1].0, kinds[1].1, kinds[1].2),
            _ => (species, strains, weight),
        };
        let born = day("2021-02-01") + number * 3 + random.whole(0, 60);
        let left = match number {
            388 | 431 => false,
            397 | 412 => true,
            _ => random.chance(0.45),
        };
        let grams = random.log_normal(weight, 0.12) * 100.0;
        let hundredths = (grams as i64).max(1);
        maker.row(row! {
            "tag" => format!("A-{number:04}"),
            "name" => (species != "rat").then(|| random.pick(&names)),
            "species" => species,
            "strain" => (!random.chance(0.05)).then(|| random.pick(strains)),
            "sex" => random.pick(&["f", "f", "m"]),
            "born_on" => born,
            "weight" => format!("{}.{:02}", hundredths / 100, hundredths % 100),
            "protocol" => random.pick(&["AP-2024-11", "AP-2025-02", "AP-2025-07"]),
            "left_on" => left.then(|| day("2025-10-30") + random.whole(0, 60)),
            "location" => format!("{}{}-{:02}", random.pick(&["A", "B"]), random.whole(1, 3), random.whole(1, 24)),
        });
    }
}

fn reagents(maker: &mut Maker<'_>) {
    let stock = [
        ("AB5541", "anti-GFAP, chicken", "412.00", -80, Some("0.100")),
        (
            "019-19741",
            "anti-IBA1, rabbit",
            "388.50",
            -80,
            Some("0.050"),
        ),
        ("MAB377", "anti-NeuN, mouse", "365.00", -20, Some("0.100")),
        ("H9627", "haematoxylin", "54.90", 20, Some("500.000")),
        ("P6148", "paraformaldehyde", "61.20", 4, None),
        (
            "AF488-703",
            "anti-chicken, Alexa 488",
            "298.00",
            4,
            Some("0.500"),
        ),
    ];
    let mut random = maker.random("reagents");
    for number in 0..maker.scaled(130.0).max(90) {
        let (catalog, description, price, storage, volume) = usual(&mut random, &stock);
        maker.row(row! {
            "lot" => format!("LOT{:06}", 310_500 + number * 37),
            "catalog_number" => catalog,
            "description" => description,
            "quantity" => random.whole(0, 14),
            "volume" => volume,
            // Prices rise with the year.
            "unit_price" => if number % 5 == 4 { format!("{}5", &price[..price.len() - 1]) } else { price.to_owned() },
            "expires_on" => day("2026-01-15") + random.whole(0, 720),
            "storage_temp" => storage,
            "safety_sheet" => random.chance(0.8)
                .then(|| format!("https://sds.example.com/{catalog}.pdf")),
        });
    }
}
