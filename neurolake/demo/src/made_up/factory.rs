//! Manufacturing.

use neurolake::made_up::{Cell, DAY, Maker, blob, day, time};
use neurolake::model::Type;
use neurolake::{recipe, row};

use super::{HOUR, IMPLANTS, MINUTE, SECOND, rounded, thread_serial};

recipe!("manufacturing.parts", parts);
recipe!("manufacturing.assembly_steps", assembly_steps);
recipe!("manufacturing.electrode_tests", electrode_tests);
recipe!("manufacturing.leak_tests", leak_tests);

/// Threads cut from a wafer.
const THREADS: i64 = 192;

/// Wafers whose threads are built in during the days of this demo.
const WAFERS: [&str; 5] = ["W0229", "W0230", "W0231", "W0232", "W0233"];

fn parts(maker: &mut Maker<'_>) {
    maker.undeclared(&[
        ("part_family", Type::String),
        ("built_on", Type::Date),
        ("serial", Type::String),
        ("lot", Type::String),
        ("supplier", Type::String),
        ("parent_serial", Type::String),
        ("revision", Type::String),
        ("reworked", Type::Bool),
    ]);
    let families = [
        ("thread", THREADS),
        ("asic", 4),
        ("feedthrough", 8),
        ("battery", 6),
        ("case", 6),
        ("implant", 2),
    ];
    for (number, on) in (0_usize..).zip(["2026-02-16", "2026-02-17", "2026-02-18"]) {
        for (family, count) in families {
            let mut random = maker.random(family).nth(day(on));
            for part in 0..count {
                let wafer = WAFERS[number + 1];
                let (serial, lot, parent) = match family {
                    "thread" => (thread_serial(wafer, part), wafer.to_owned(), Some(wafer)),
                    _ => (
                        format!(
                            "{}-26{:02}{part:02}",
                            &family[..1].to_uppercase(),
                            16 + number
                        ),
                        format!("L{}", random.whole(4_100, 4_120)),
                        None,
                    ),
                };
                maker.row(row! {
                    "part_family" => family,
                    "built_on" => on,
                    "serial" => serial,
                    "lot" => lot,
                    "supplier" => match family {
                        "battery" | "feedthrough" => Some("bought"),
                        _ => None,
                    },
                    "parent_serial" => parent,
                    "revision" => "C",
                    "reworked" => random.chance(0.04),
                });
            }
        }
        maker.commit(&format!("{on}T23:30:00Z"));
    }
}

type Measured = (
    &'static str,
    &'static str,
    f64,
    f64,
    Option<f64>,
    Option<f64>,
);

struct Step {
    name: &'static str,
    stations: &'static [&'static str],
    yields: f64,
    measured: &'static [Measured],
}

const ROUTE: [Step; 5] = [
    Step {
        name: "thread_bond",
        stations: &["BOND-1", "BOND-2", "BOND-3"],
        yields: 0.93,
        measured: &[
            ("bond_force", "gf", 7.2, 0.5, Some(5.5), None),
            ("alignment", "um", 1.1, 0.4, None, Some(3.0)),
            ("temperature", "degC", 148.0, 1.2, None, None),
        ],
    },
    Step {
        name: "asic_bond",
        stations: &["BOND-2", "BOND-3"],
        yields: 0.97,
        measured: &[("shear", "N", 31.0, 2.0, Some(24.0), Some(40.0))],
    },
    Step {
        name: "feedthrough_braze",
        stations: &["OVEN-1"],
        yields: 0.98,
        measured: &[(
            "peak_temperature",
            "degC",
            780.0,
            3.0,
            Some(765.0),
            Some(800.0),
        )],
    },
    Step {
        name: "case_weld",
        stations: &["WELD-1", "WELD-2"],
        yields: 0.95,
        measured: &[
            ("penetration", "um", 310.0, 15.0, Some(250.0), Some(400.0)),
            ("laser_power", "W", 42.0, 0.6, None, None),
        ],
    },
    Step {
        name: "final_test",
        stations: &["TEST-1"],
        yields: 0.9,
        measured: &[
            ("noise", "uV", 5.9, 0.3, None, Some(8.0)),
            ("current", "mA", 6.4, 0.2, Some(5.0), Some(7.5)),
        ],
    },
];

/// Five days, the threads of one wafer a day, and what the wafer's implant needs besides.
fn assembly_steps(maker: &mut Maker<'_>) {
    let first = day("2026-02-15");
    for (offset, wafer) in (0..).zip(WAFERS) {
        let on = first + offset;
        for step in &ROUTE {
            let parts = match step.name {
                "thread_bond" => THREADS,
                _ => maker.scaled(12.0),
            };
            for part in 0..parts {
                attempts(maker, step, wafer, on, part);
            }
        }
        maker.commit(&format!("{}T22:00:00Z", neurolake::made_up::day_text(on)));
    }
}

fn attempts(maker: &mut Maker<'_>, step: &Step, wafer: &str, on: i64, part: i64) {
    let mut random = maker.random(step.name).nth(on * 10_000 + part);
    let serial = if step.name == "thread_bond" {
        thread_serial(wafer, part)
    } else {
        format!("I{}-{part:02}", &wafer[1..])
    };
    let station = random.pick(step.stations);
    let mut start = on * DAY + 6 * HOUR + random.whole(0, 14 * 60) * MINUTE;
    for attempt in 1..=3 {
        let passed = random.chance(step.yields);
        let culprit = step
            .measured
            .iter()
            .position(|(.., low, high)| low.is_some() || high.is_some());
        let mut measurements = Vec::new();
        for (index, &(name, unit, mean, deviation, low, high)) in step.measured.iter().enumerate() {
            let mut value = random.normal(mean, deviation);
            value = value.clamp(low.unwrap_or(f64::MIN), high.unwrap_or(f64::MAX));
            if !passed && culprit == Some(index) {
                value = match (low, high) {
                    (Some(low), _) => low - random.between(0.2, 1.0) * deviation,
                    (None, Some(high)) => high + random.between(0.2, 1.0) * deviation,
                    (None, None) => value,
                };
            }
            let limits = (low.is_some() || high.is_some()).then(|| {
                row! { "low" => low, "high" => high }
            });
            let measured: Cell = row! {
                "name" => name,
                "value" => rounded(value, 2),
                "unit" => unit,
                "limits" => limits,
            }
            .into();
            measurements.push(measured);
        }
        let consumed: Vec<Cell> = match step.name {
            "asic_bond" => vec![format!("A-2616{:02}", part % 4).into()],
            "case_weld" => vec![
                format!("C-2616{:02}", part % 6).into(),
                format!("B-2616{:02}", part % 6).into(),
            ],
            _ => Vec::new(),
        };
        let lots: Vec<(Cell, Cell)> = match step.name {
            "thread_bond" | "asic_bond" => vec![("adhesive".into(), "EP-2291".into())],
            "feedthrough_braze" => vec![("flux".into(), "FX-118".into())],
            "case_weld" => vec![("argon".into(), "AR-7740".into())],
            _ => Vec::new(),
        };
        let end = start + random.whole(90, 600) * SECOND;
        maker.row(row! {
            "serial" => serial.clone(),
            "step" => step.name,
            "attempt" => attempt,
            "performed_on" => on,
            "started_at" => start,
            "ended_at" => end,
            "station" => station,
            "operator" => (!station.starts_with("OVEN"))
                .then(|| random.pick(&["M-017", "M-022", "M-031", "M-044"])),
            "passed" => passed,
            "measurements" => measurements,
            "consumed" => consumed,
            "lots" => lots,
        });
        if passed {
            break;
        }
        start = end + 5 * MINUTE;
    }
}

fn electrode_tests(maker: &mut Maker<'_>) {
    let implanted = IMPLANTS.iter().map(|implant| implant.wafer).skip(5);
    let wafers = implanted.chain(["W0230", "W0232"]);
    for wafer in wafers {
        let tested = match wafer {
            "W0219" => "2025-08-20",
            "W0221" => "2025-09-17",
            _ => "2026-02-12",
        };
        let threads = if tested < "2026" { 64 } else { THREADS };
        for thread in 0..threads {
            let mut random = maker.random(wafer).nth(thread);
            let scrap = random.chance(0.06);
            for contact in 0..16 {
                let base = if scrap && contact > 9 {
                    random.log_normal(1_900.0, 0.3)
                } else {
                    random.log_normal(62.0, 0.2)
                };
                let crosstalk = random.log_normal(0.003, 0.5);
                let impedance: Vec<f32> = [4.0, 1.0, 0.28, 0.12]
                    .map(|factor| rounded(base * factor, 1) as f32)
                    .to_vec();
                maker.row(row! {
                    "wafer" => wafer,
                    "tested_on" => tested,
                    "serial" => thread_serial(wafer, thread),
                    "contact" => contact,
                    "tested_at" => time(tested) + 8 * HOUR + (thread * 16 + contact) * 20 * SECOND,
                    "noise" => rounded(random.normal(4.4, 0.3), 2),
                    "impedance" => impedance,
                    "frequencies" => vec![100.0_f32, 1_000.0, 5_000.0, 20_000.0],
                    "crosstalk" => rounded(crosstalk, 5),
                    "grade" => match (scrap, crosstalk < 0.006) {
                        (true, _) => "scrap",
                        (_, true) => "A",
                        (_, false) => "B",
                    },
                });
            }
        }
    }
}

fn leak_tests(maker: &mut Maker<'_>) {
    let mut random = maker.random("leaks");
    let first = time("2025-05-05");
    let read = time("2025-09-01");
    let count = maker.scaled(400.0);
    for number in 0..count {
        let tested = first + number * 295 * DAY / count + random.whole(8, 16) * HOUR;
        let rate = random.log_normal(2.6, 0.45);
        let by_hand = tested < read;
        // People write one digit, instruments all of them; the unit is 1e-10.
        let rate = if by_hand {
            (rate.round() as i64).clamp(1, 9) * 10
        } else {
            (rate * 10.0) as i64
        };
        let serial = format!("C-25{number:04}");
        let certificate = (!by_hand).then(|| {
            let uri = format!("s3://lake/manufacturing-files/leak/{serial}.pdf");
            if number >= count - 24 {
                maker.file(uri, pdf(&serial, rate))
            } else {
                blob(&uri, "application/pdf", 560 + number % 9)
            }
        });
        maker.row(row! {
            "serial" => serial,
            "tested_at" => tested,
            "leak_rate" => format!("0.{rate:010}"),
            "bombing_time" => random.pick(&[2.0, 4.0]),
            "passed" => rate <= 50,
            "certificate" => certificate,
        });
    }
}

/// One page with two lines.
fn pdf(serial: &str, rate: i64) -> Vec<u8> {
    let text = format!(
        "BT /F1 18 Tf 60 760 Td (Helium leak test {serial}) Tj 0 -28 Td (Rate: {rate}e-10 mbar l/s) Tj ET"
    );
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let start = file.len();
    file.push_str("xref\n0 6\n0000000000 65535 f \n");
    for place in places {
        file.push_str(&format!("{place:010} 00000 n \n"));
    }
    file.push_str(&format!(
        "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    file.into_bytes()
}
