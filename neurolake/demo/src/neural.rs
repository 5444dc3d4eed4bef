//! Neural signals: what the implants record, from single spikes to daily channel quality.
//!
//! An implant has 1,024 channels: 64 threads of 16 contacts, each sampled at 20 kHz. The implant
//! reduces the broadband signal on the device; only spikes and band power leave it over the radio.
//! Every row carries `implant_id` and `session_date`. Filter on both: they are the partitions, and
//! a query without them reads every recording there is.
//!
//! Times are on the implant's clock, disciplined to UTC once per session. Drift stays below 2 ms an
//! hour; align neural and behavioural data by `bin`, not by time.

use neurolake::prelude::*;

pub mod sorting;

/// Spike-band power per channel, one row per 15 ms bin.
///
/// The implant squares the 500 Hz to 5 kHz band, averages it over 15 ms and sends the result. The
/// ingest writer commits rows within two seconds, so this is the table to watch a running session
/// with, and the input of every decoder.
///
/// - Values are z-scored with the mean and deviation of the session's first two minutes, which
///   means that those two minutes are missing.
/// - A lost radio packet is a missing row, never a row of zeros: check [`Self::bin`] for gaps.
/// - Joined with the cursor it is [`crate::training::AlignedBins`].
#[table(
    delta = "s3://lake/neural/normalized_band_power",
    partition_by(implant_id, session_date),
    sort_by(ts),
    unique_by(session_id, bin),
    owner = "signals",
    tags("neural", "live", "phi"),
    freshness = "2s",
    ingest,
    notebook(
        "Watch a session live",
        "https://notebooks.example.com/signals/live-session.ipynb"
    ),
    notebook(
        "From band power to a decoder",
        "https://notebooks.example.com/decoding/first-decoder.ipynb"
    ),
    example(implant_id = 7, session_date = "2026-03-01")
)]
#[doc(alias = "SBP")]
#[doc(alias = "spiking band power")]
#[derive(serde::Serialize)]
pub struct NormalizedBandPower {
    /// Start of the bin on the implant's clock.
    pub ts: Timestamp,
    /// The recording implant.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`Sessions::session_id`].
    pub session_id: i64,
    /// Number of the 15 ms bin since the session started; the key for joining with behaviour.
    pub bin: i64,
    /// Power of each channel, by channel number: element 0 is channel 0. Masked channels hold NaN.
    #[column(unit = "z")]
    pub band_power: Vec<f32>,
    /// Samples of this bin that the analog front end dropped, out of 300. Null before firmware 4.2.
    #[column(since = 2)]
    pub dropped_samples: Option<i16>,
}

/// Spikes as the implant detects them, one row per spike.
///
/// A spike is a crossing of -4.5 times the channel's noise level that also matches a template on
/// the device. They are *not* sorted into neurons; see [`sorting::Units`] for that. Rows arrive in
/// batches every ten seconds, and offline recordings arrive up to a day late.
///
/// A busy session holds about 40 million spikes. Filter on [`Self::channel`] too: files are
/// clustered by it.
#[table(
    delta = "s3://lake/neural/spikes",
    partition_by(implant_id, session_date),
    sort_by(channel, ts),
    owner = "signals",
    tags("neural", "phi"),
    freshness = "24h",
    notebook(
        "Rasters and rates",
        "https://notebooks.example.com/signals/rasters.ipynb"
    ),
    example(implant_id = 7, session_date = "2026-03-01", channel = 112)
)]
#[doc(alias = "action potentials")]
pub struct Spikes {
    /// Time of the trough on the implant's clock.
    pub ts: Timestamp,
    /// The recording implant.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`Sessions::session_id`].
    pub session_id: i64,
    /// Channel, 0 to 1023; its place is in [`Electrodes`].
    pub channel: i16,
    /// Depth of the trough, a negative number.
    #[column(unit = "uV", renamed_from = "peak")]
    pub amplitude: f32,
    /// Trough to peak time; below 0.4 ms suggests an interneuron.
    #[column(unit = "ms")]
    pub width: f32,
    /// 32 samples around the trough at 20 kHz. Sent for one spike in a hundred, else null.
    #[column(unit = "uV")]
    pub waveform: Option<Vec<f32>>,
}

/// Recording sessions, one row each: who, when, with which firmware and decoder.
///
/// A session starts when the app connects and ends after five minutes without a packet. A running
/// session has no [`Self::ended_at`]. Start here to find data worth looking at.
#[table(
    delta = "s3://lake/neural/sessions",
    unique_by(session_id),
    owner = "signals",
    tags("neural", "phi"),
    freshness = "5m",
    example(implant_id = 7, decoder_id = None)
)]
pub struct Sessions {
    /// Number of the session, unique over all implants.
    pub session_id: i64,
    /// The recording implant.
    pub implant_id: i32,
    /// Local calendar day on which the session started; late evening sessions stay on that day.
    pub session_date: Date,
    /// Participant (`P-03`) or animal (`A-0412`), see [`crate::clinical::Participants::code`] and
    /// [`crate::lab::Animals::tag`].
    pub subject: String,
    /// First packet.
    pub started_at: Timestamp,
    /// Last packet; null while the session runs.
    pub ended_at: Option<Timestamp>,
    /// `home`, `clinic` or `lab`.
    pub place: String,
    /// Firmware of the implant, such as `4.2.1`.
    pub firmware: String,
    /// Decoder that moved the cursor; null in open-loop sessions.
    pub decoder_id: Option<String>,
    /// Tasks in the order in which they were first started.
    pub tasks: Vec<String>,
    /// Share of radio packets lost, from 0 to 1.
    #[column(since = 2)]
    pub packet_loss: Option<f32>,
    /// What the operator wrote down. May name people.
    #[column(pii)]
    pub notes: Option<String>,
}

/// Where a contact sits, relative to the brain's surface at the thread's entry point.
#[derive(Columns)]
pub struct ContactPosition {
    /// Towards the midline.
    #[column(unit = "um")]
    pub medial: f32,
    /// Towards the front.
    #[column(unit = "um")]
    pub anterior: f32,
    /// Below the surface, as planned minus the measured dimpling.
    #[column(unit = "um")]
    pub depth: f32,
}

/// The channel map of every implant: which contact on which thread a channel number means.
///
/// Written once per implant, after surgery, from the routing of the chip and the robot's insertion
/// log. Channels of threads that weren't inserted are present with a null [`Self::position`].
#[table(
    delta = "s3://lake/neural/electrodes",
    partition_by(implant_id),
    unique_by(implant_id, channel),
    owner = "signals",
    tags("neural", "reference"),
    inputs(crate::surgery::ThreadInsertions, crate::manufacturing::ElectrodeTests),
    example(implant_id = 7)
)]
#[doc(alias = "channel map")]
#[doc(alias = "probe geometry")]
pub struct Electrodes {
    /// The implant.
    pub implant_id: i32,
    /// Channel, 0 to 1023, as in all signal tables.
    pub channel: i16,
    /// Thread, 0 to 63, numbered clockwise seen from outside.
    pub thread: i16,
    /// Contact on the thread, 0 (deepest) to 15.
    pub contact: i16,
    /// Place in the brain; null when the thread isn't inserted.
    pub position: Option<ContactPosition>,
    /// Cortical area, such as `M1 hand knob`.
    pub area: Option<String>,
    /// Whether the channel is left out of decoding, by hand or by [`ChannelQuality`].
    pub masked: bool,
}

/// Electrode impedance at 1 kHz, one row per channel and scan.
///
/// The implant scans itself every night while it charges; the clinic may start a scan by hand.
/// A slow rise over the first weeks is scar tissue and expected. A sudden jump is a broken trace.
#[table(
    delta = "s3://lake/neural/impedance_scans",
    partition_by(implant_id),
    sort_by(measured_at),
    unique_by(implant_id, channel, measured_at),
    owner = "signals",
    tags("neural", "quality"),
    freshness = "36h",
    example(implant_id = 7, channel = 112)
)]
#[doc(alias = "EIS")]
pub struct ImpedanceScans {
    /// The implant.
    pub implant_id: i32,
    /// Channel, 0 to 1023.
    pub channel: i16,
    /// When the channel was measured.
    pub measured_at: Timestamp,
    /// Absolute impedance at 1 kHz.
    #[column(unit = "kOhm")]
    pub magnitude: f32,
    /// Phase at 1 kHz; near -90 means capacitive, as an intact contact should be.
    #[column(unit = "deg")]
    pub phase: f32,
    /// Test current, peak.
    #[column(unit = "nA")]
    pub current: f32,
    /// `nightly`, `clinic` or `bench`.
    pub reason: String,
}

/// The newest impedance of every channel and what it says about the contact.
///
/// | status | magnitude at 1 kHz | what to do |
/// | - | - | - |
/// | `short` | below 5 kOhm | mask the channel |
/// | `good` | 5 to 300 kOhm | nothing |
/// | `weak` | 300 to 1,000 kOhm | expect few spikes |
/// | `open` | above 1,000 kOhm | mask the channel |
/// | `unknown` | never measured | scan |
#[table(
    sql = r"
        select
            e.implant_id,
            e.channel,
            e.thread,
            e.contact,
            s.measured_at,
            s.magnitude,
            case
                when s.magnitude is null then 'unknown'
                when s.magnitude < 5 then 'short'
                when s.magnitude <= 300 then 'good'
                when s.magnitude <= 1000 then 'weak'
                else 'open'
            end as status
        from neural.electrodes e
        left join (
            select
                implant_id,
                channel,
                measured_at,
                magnitude,
                row_number() over (
                    partition by implant_id, channel order by measured_at desc
                ) as recency
            from neural.impedance_scans
        ) s
            on s.implant_id = e.implant_id and s.channel = e.channel and s.recency = 1
    ",
    unique_by(implant_id, channel),
    owner = "signals",
    tags("neural", "quality"),
    example(implant_id = 7, status = "open")
)]
#[doc(alias = "bad channels")]
pub struct ChannelQuality {
    /// The implant.
    pub implant_id: i32,
    /// Channel, 0 to 1023.
    pub channel: i16,
    /// Thread, 0 to 63.
    pub thread: i16,
    /// Contact on the thread, 0 (deepest) to 15.
    pub contact: i16,
    /// When the newest scan measured it.
    pub measured_at: Option<Timestamp>,
    /// Absolute impedance at 1 kHz in that scan.
    #[column(unit = "kOhm")]
    pub magnitude: Option<f32>,
    /// `short`, `good`, `weak`, `open` or `unknown`.
    pub status: String,
}

/// Electrocorticography from the surface strip that is used to find the motor area in surgery.
///
/// One row per recording. The signal itself stays in an EDF+ file that [`Self::recording`] points
/// at; [`Self::preview`] is a small picture for browsing. The strip is removed before closing, so
/// there is nothing here after the day of surgery.
#[table(
    parquet = "s3://lake/neural/ecog/",
    name = "ecog",
    unique_by(surgery_id, started_at),
    owner = "signals",
    tags("intraoperative", "neural", "phi"),
    example(surgery_id = 31)
)]
#[doc(alias = "electrocorticography")]
pub struct ECoG {
    /// The surgery, see [`crate::surgery::Surgeries::surgery_id`].
    pub surgery_id: i64,
    /// First sample.
    pub started_at: Timestamp,
    /// Length of the recording.
    #[column(unit = "s")]
    pub duration: f64,
    /// Contacts on the strip, 8 or 32.
    pub contacts: u8,
    /// Samples per second and contact.
    #[column(unit = "Hz")]
    pub sampling_rate: u32,
    /// Median nerve stimulated to evoke a response; null at rest.
    pub stimulated_side: Option<String>,
    /// The EDF+ file, 50 to 400 MB.
    pub recording: Blob,
    /// PNG of the evoked response, at most 64 KB.
    pub preview: Option<Vec<u8>>,
}

/// Threshold crossings per channel in bins of 100 ms, as firmware 2 and 3 counted them.
///
/// Rows end on 2025-06-30. Counts include stimulation artefacts, which [`Spikes`] rejects.
#[table(
    delta = "s3://lake/neural/threshold_crossings",
    partition_by(implant_id: i32, session_date: Date),
    owner = "signals",
    tags("neural", "phi"),
    example(implant_id = 2, session_date = "2025-05-14")
)]
#[deprecated(
    since = "2025.7.1",
    note = "Count rows of [`Spikes`] instead: the threshold is the same, without artefacts."
)]
#[doc(alias = "TX")]
pub struct ThresholdCrossings;
