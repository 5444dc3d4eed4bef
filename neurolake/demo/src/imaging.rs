//! Imaging: histology slides with a billion pixels, what was drawn on them, and pictures from the
//! operating theatre.
//!
//! Tables hold references; the pixels stay in the imaging archive. A `Blob` column gives the
//! address, the media type and the size, and any reader with access to the `imaging` store can
//! open it by range requests without fetching the whole file.

use neurolake::prelude::*;

/// Size and resolution of a whole-slide image.
#[derive(Columns)]
pub struct Pixels {
    /// Columns of the full-resolution level.
    pub width: i32,
    /// Rows of the full-resolution level.
    pub height: i32,
    /// Edge of a pixel.
    #[column(unit = "um")]
    pub pitch: f32,
    /// Levels of the pyramid, each half the size of the one before.
    pub levels: i8,
}

/// Whole-slide images of stained tissue, one row per slide.
///
/// The scanner uploads a pyramidal TIFF of 2 to 15 GB; a watcher adds the row within minutes.
/// Sections are coronal and named by their distance from bregma.
///
/// | stain | shows |
/// | - | - |
/// | `GFAP` | astrocytes, the glial sheath around a thread |
/// | `IBA1` | microglia |
/// | `NeuN` | neurons |
/// | `H&E` | general structure |
#[table(
    delta = "s3://imaging-archive/tables/slides",
    store = "imaging",
    partition_by(stain),
    unique_by(slide_id),
    owner = "histology",
    tags("histology", "images"),
    freshness = "24h",
    notebook(
        "Open a slide by region",
        "https://notebooks.example.com/histology/open-slide.ipynb"
    ),
    example(stain = "GFAP", bregma = "-1.50")
)]
#[doc(alias = "histology")]
#[doc(alias = "WSI")]
pub struct Slides {
    /// Barcode of the slide.
    pub slide_id: String,
    /// The animal, see [`crate::lab::Animals::tag`].
    pub animal: String,
    /// Implant whose tissue this is; null for controls.
    pub implant_id: Option<i32>,
    /// Thread in the middle of the section; null if none is visible.
    pub thread: Option<i16>,
    /// `GFAP`, `IBA1`, `NeuN` or `H&E`.
    pub stain: String,
    /// Distance from bregma, to the front is positive.
    #[column(unit = "mm")]
    pub bregma: Decimal<5, 2>,
    /// Thickness of the section.
    #[column(unit = "um")]
    pub thickness: f32,
    /// Time from implantation to fixation.
    #[column(unit = "d")]
    pub days_implanted: Option<i32>,
    /// Scanner finished.
    pub scanned_at: Timestamp,
    /// Size and resolution.
    pub pixels: Pixels,
    /// The pyramidal TIFF.
    pub image: Blob,
    /// JPEG of 256 pixels, for browsing.
    pub thumbnail: Vec<u8>,
}

/// A corner of an outline, in pixels of the full-resolution level.
#[derive(Columns)]
pub struct Vertex {
    /// From the left.
    #[column(unit = "px")]
    pub x: f32,
    /// From the top.
    #[column(unit = "px")]
    pub y: f32,
}

/// Outlines on slides, drawn by hand or by the segmentation model, one row per outline.
///
/// Exported from the annotation tool into a folder for each project, every night, whole. Prefer
/// rows with [`Self::reviewed`]: the model mistakes vessels for threads in one case out of twenty.
#[table(
    parquet = "s3://imaging-archive/annotations/",
    store = "imaging",
    partitioning = directory,
    partition_by(project),
    unique_by(annotation_id),
    owner = "histology",
    tags("histology", "labels"),
    freshness = "24h",
    inputs(Slides),
    example(project = "scar-2026", label = "glial sheath", reviewed = true)
)]
#[doc(alias = "segmentation")]
pub struct Annotations {
    /// Project in the annotation tool.
    pub project: String,
    /// Number of the outline.
    pub annotation_id: u64,
    /// The slide, see [`Slides::slide_id`].
    pub slide_id: String,
    /// `glial sheath`, `neuron`, `microglia`, `vessel` or `thread track`.
    pub label: String,
    /// Enclosed area.
    #[column(unit = "um2")]
    pub area: f64,
    /// The outline, closed: the last corner joins the first.
    pub outline: Vec<Vertex>,
    /// Initials of the author; `model` with a version for the model.
    pub author: String,
    /// Whether a second person agreed.
    pub reviewed: bool,
}

/// Pictures that the surgical microscope takes after each placed thread.
///
/// One row per thread: the sharpest of five pictures is kept. Use
/// [`crate::surgery::robot_insertions`] to see them beside depth and plan.
#[table(
    delta = "s3://imaging-archive/tables/insertion_images",
    store = "imaging",
    partition_by(surgery_id),
    unique_by(surgery_id, thread),
    owner = "robotics",
    tags("images", "phi", "surgery"),
    freshness = "15m",
    example(surgery_id = 31)
)]
pub struct InsertionImages {
    /// The operation, see [`crate::surgery::Surgeries::surgery_id`].
    pub surgery_id: i64,
    /// Thread, 0 to 63.
    pub thread: i16,
    /// Shutter open, clock of the robot.
    pub taken_at: Timestamp,
    /// Sharpness, from 0 to 1; above 0.6 the vessels are clear.
    pub focus: f32,
    /// PNG, 12 megapixels.
    pub image: Blob,
}

/// Scar tissue per thread beside the thread's electrical state: does the sheath cost signal?
///
/// Only outlines that were reviewed count. Impedance is the mean over the thread's channels that
/// were measured, from [`crate::neural::ChannelQuality`]; it is null when the implant was taken
/// out before its first scan.
#[table(
    sql = r"
        with tissue as (
            select
                s.implant_id,
                s.thread,
                count(distinct s.slide_id) as slides,
                max(s.days_implanted) as days_implanted,
                sum(case when a.label = 'glial sheath' then a.area else 0.0 end) as sheath_area,
                sum(case when a.label = 'neuron' then 1 else 0 end) as neurons
            from imaging.slides s
            join imaging.annotations a on a.slide_id = s.slide_id
            where a.reviewed and s.implant_id is not null and s.thread is not null
            group by s.implant_id, s.thread
        ),
        channels as (
            select
                implant_id,
                thread,
                avg(magnitude) as mean_magnitude,
                sum(case when status = 'good' then 1 else 0 end) as good_channels
            from neural.channel_quality
            group by implant_id, thread
        )
        select
            t.implant_id,
            t.thread,
            t.days_implanted,
            t.slides,
            t.sheath_area,
            t.neurons,
            c.mean_magnitude,
            c.good_channels
        from tissue t
        left join channels c on c.implant_id = t.implant_id and c.thread = t.thread
    ",
    unique_by(implant_id, thread),
    owner = "histology",
    tags("histology", "quality"),
    notebook(
        "Sheath and impedance",
        "https://notebooks.example.com/histology/sheath.ipynb"
    ),
    example(implant_id = 4)
)]
#[doc(alias = "foreign body response")]
#[doc(alias = "gliosis")]
pub struct TissueResponse {
    /// The implant.
    pub implant_id: i32,
    /// Thread, 0 to 63.
    pub thread: i16,
    /// Longest time from implantation to fixation.
    #[column(unit = "d")]
    pub days_implanted: Option<i32>,
    /// Slides that count.
    pub slides: i64,
    /// Glial sheath, summed over slides; divide by [`Self::slides`] before comparing.
    #[column(unit = "um2")]
    pub sheath_area: f64,
    /// Neurons outlined, summed over slides.
    pub neurons: i64,
    /// Mean impedance of the thread's channels at 1 kHz.
    #[column(unit = "kOhm")]
    pub mean_magnitude: Option<f64>,
    /// Channels with status `good`, at most 16.
    pub good_channels: Option<i64>,
}
