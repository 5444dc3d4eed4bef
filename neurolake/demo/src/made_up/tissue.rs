//! Histology.

use neurolake::made_up::picture::Picture;
use neurolake::made_up::{Cell, DAY, Maker, Random, blob, day};
use neurolake::{recipe, row};

use super::{HOUR, rounded};

recipe!("imaging.slides", slides);
recipe!("imaging.annotations", annotations);

const STAINS: [&str; 4] = ["GFAP", "IBA1", "NeuN", "H&E"];
const BREGMA: [&str; 4] = ["-1.50", "-1.75", "-1.25", "-2.00"];
const SLIDES: i64 = 192;

struct Slide {
    id: String,
    animal: &'static str,
    implant: Option<i64>,
    thread: Option<i64>,
    stain: &'static str,
    bregma: &'static str,
}

fn slide(number: i64) -> Slide {
    let stain = usize::try_from(number % 4).unwrap_or(0);
    let bregma = usize::try_from(number / 4 % 4).unwrap_or(0);
    let (animal, implant) = match number / 16 % 4 {
        0 | 1 => ("A-0412", Some(4)),
        2 => ("A-0388", Some(3)),
        _ => ("A-0397", None),
    };
    Slide {
        id: format!("S-{:05}", 41_200 + number),
        animal,
        implant,
        thread: (implant.is_some() && number % 7 != 6).then_some(number * 11 % 64),
        stain: STAINS[stain],
        bregma: BREGMA[bregma],
    }
}

fn slides(maker: &mut Maker<'_>) {
    let first = day("2025-11-03");
    let mut random = maker.random("slides");
    let thumbnails: Vec<Vec<u8>> = (0..6).map(|_| section(&mut random).jpeg()).collect();
    for number in 0..SLIDES {
        let slide = slide(number);
        let uri = format!("s3://imaging-archive/slides/{}.tif", slide.id);
        let image = if number < 4 {
            maker.file(uri, section(&mut random).tiff())
        } else {
            blob(
                &uri,
                "image/tiff",
                random.whole(2_000_000_000, 15_000_000_000),
            )
        };
        maker.row(row! {
            "slide_id" => slide.id,
            "animal" => slide.animal,
            "implant_id" => slide.implant,
            "thread" => slide.thread,
            "stain" => slide.stain,
            "bregma" => slide.bregma,
            "thickness" => random.pick(&[20.0, 30.0]),
            "days_implanted" => slide.implant.map(|implant| 160 + 12 * implant),
            "scanned_at" => (first + number / 3) * DAY + 9 * HOUR + number % 3 * HOUR,
            "pixels" => row! {
                "width" => if number < 4 { 256 } else { random.whole(60_000, 110_000) },
                "height" => if number < 4 { 256 } else { random.whole(40_000, 80_000) },
                "pitch" => 0.25,
                "levels" => if number < 4 { 1 } else { 9 },
            },
            "image" => image,
            "thumbnail" => thumbnails[usize::try_from(number % 6).unwrap_or(0)].clone(),
        });
    }
}

/// Cells as dark dots, denser around the thread's track.
fn section(random: &mut Random) -> Picture {
    let cells: Vec<(f64, f64, f64)> = (0..40)
        .map(|_| {
            let x = random.normal(0.5, 0.22);
            (x, random.unit(), random.between(0.012, 0.03))
        })
        .collect();
    Picture::new(256, 256, |x, y| {
        let mut light: f64 = 0.9 - 0.25 * (-((x - 0.5) / 0.06).powi(2)).exp();
        for &(cx, cy, radius) in &cells {
            let (dx, dy) = (x - cx, y - cy);
            if dx * dx + dy * dy < radius * radius {
                light -= 0.35;
            }
        }
        light
    })
}

fn annotations(maker: &mut Maker<'_>) {
    let labels = [
        ("glial sheath", 5_200.0),
        ("neuron", 160.0),
        ("microglia", 90.0),
        ("vessel", 420.0),
        ("thread track", 900.0),
    ];
    let mut number = 90_000;
    for project in ["scar-2026", "density-2026", "pilot-2025"] {
        let mut random = maker.random(project);
        for _ in 0..maker.scaled(700.0) {
            let slide = slide(random.whole(0, SLIDES - 1));
            let (label, area) = random.pick(&labels);
            let area = random.log_normal(area, 0.4);
            let radius = (area / std::f64::consts::PI).sqrt() / 0.25;
            let (cx, cy) = (random.between(2e3, 5e4), random.between(2e3, 3e4));
            let outline: Vec<Cell> = (0..12)
                .map(|corner| {
                    let angle = f64::from(corner) / 12.0 * std::f64::consts::TAU;
                    let radius = radius * random.normal(1.0, 0.06);
                    row! {
                        "x" => rounded(cx + radius * angle.cos(), 1),
                        "y" => rounded(cy + radius * angle.sin(), 1),
                    }
                    .into()
                })
                .collect();
            let by_model = random.chance(0.5);
            maker.row(row! {
                "project" => project,
                "annotation_id" => number,
                "slide_id" => slide.id,
                "label" => label,
                "area" => rounded(area, 2),
                "outline" => outline,
                "author" => if by_model { "model 3.1" } else { random.pick(&["LS", "RB", "NW"]) },
                "reviewed" => random.chance(if by_model { 0.6 } else { 0.85 }),
            });
            number += 1;
        }
    }
}
