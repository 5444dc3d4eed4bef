//! Training: labelled data sets and the decoders made from them.
//!
//! Labels come from tasks in which the target is known: the participant means to move straight
//! towards it. The views here follow the live tables, so a model can be fitted on a session while
//! it is still running.

use std::collections::HashMap;

use neurolake::prelude::*;

/// Neural data with labels: band power beside the cursor and its target, one row per 15 ms bin.
///
/// Aligned by bin number, seconds after the fact. Bins without a cursor event, and bins outside of
/// trials, are left out; so are bins whose radio packet was lost.
///
/// The label to learn is ([`Self::error_x`], [`Self::error_y`]), the way from the cursor to the
/// target. Cut off the first 200 ms of each trial: the participant hasn't reacted yet.
#[table(
    sql = r"
        select
            p.implant_id,
            p.session_date,
            p.session_id,
            p.bin,
            p.ts,
            c.trial_id,
            p.band_power,
            c.x,
            c.y,
            c.error_x,
            c.error_y,
            c.clicked
        from neural.normalized_band_power p
        join (
            select
                implant_id,
                session_date,
                session_id,
                bin,
                max(trial_id) as trial_id,
                avg(x) as x,
                avg(y) as y,
                avg(target_x - x) as error_x,
                avg(target_y - y) as error_y,
                max(case when kind = 'click' then 1 else 0 end) as clicked
            from behavior.cursor_events
            where trial_id is not null and target_x is not null
            group by implant_id, session_date, session_id, bin
        ) c
            on c.implant_id = p.implant_id
            and c.session_date = p.session_date
            and c.session_id = p.session_id
            and c.bin = p.bin
    ",
    unique_by(session_id, bin),
    owner = "decoding",
    tags("labels", "live", "phi"),
    freshness = "4s",
    notebook(
        "Fit a decoder during a session",
        "https://notebooks.example.com/decoding/online-fit.ipynb"
    ),
    example(implant_id = 7, session_date = "2026-03-01")
)]
#[doc(alias = "labeled data")]
#[doc(alias = "features")]
pub struct AlignedBins {
    /// The recording implant.
    pub implant_id: i32,
    /// Local calendar day on which the session started.
    pub session_date: Date,
    /// The session, see [`crate::neural::Sessions::session_id`].
    pub session_id: i64,
    /// Number of the 15 ms bin since the session started.
    pub bin: i64,
    /// Start of the bin on the implant's clock.
    pub ts: Timestamp,
    /// The trial, see [`crate::behavior::Trials::trial_id`].
    pub trial_id: Option<i64>,
    /// Features: power of each channel, by channel number.
    #[column(unit = "z")]
    pub band_power: Vec<f32>,
    /// Mean position from the left edge (0) to the right edge (1).
    pub x: f64,
    /// Mean position from the top edge (0) to the bottom edge (1).
    pub y: f64,
    /// Label: from the cursor to the target, to the right.
    #[column(unit = "screen")]
    pub error_x: Option<f64>,
    /// Label: from the cursor to the target, downwards.
    #[column(unit = "screen")]
    pub error_y: Option<f64>,
    /// Label: 1 if a click fell into the bin, else 0.
    pub clicked: i64,
}

/// How a decoder did on held-out data.
#[derive(Columns)]
pub struct HoldOutScore {
    /// Sessions held out.
    pub sessions: Vec<i64>,
    /// Explained variance of the velocity, at most 1.
    pub r2: f64,
    /// Area under the curve of click detection.
    pub click_auc: f64,
}

/// Trained decoders, one row per training run that finished, deployed or not.
///
/// The training job writes the row last, so weights are complete when it appears. Weights are
/// never overwritten. A decoder fits one implant; copying it to another doesn't work.
#[table(
    delta = "s3://lake/training/decoders",
    store = "models",
    partition_by(implant_id),
    unique_by(decoder_id),
    owner = "decoding",
    tags("models"),
    inputs(AlignedBins, crate::neural::ChannelQuality),
    example(implant_id = 7, training_sessions = [5121, 5124])
)]
#[doc(alias = "models")]
#[doc(alias = "weights")]
pub struct Decoders {
    /// Name of the decoder, such as `7-2026-02-27-a`.
    pub decoder_id: String,
    /// Implant it was trained for.
    pub implant_id: i32,
    /// `kalman`, `ridge`, `gru` or `transformer`.
    pub architecture: String,
    /// End of training.
    pub trained_at: Timestamp,
    /// First use in a session; null if never deployed.
    pub deployed_at: Option<Timestamp>,
    /// Sessions trained on, in order.
    pub training_sessions: Vec<i64>,
    /// Settings of the run by name.
    pub hyperparameters: HashMap<String, f64>,
    /// Score on sessions held out.
    pub score: HoldOutScore,
    /// The weights, safetensors.
    #[column(since = 2)]
    pub weights: Blob,
    /// Commit of the training code.
    pub code_commit: String,
    /// Score on the training data.
    #[deprecated(
        since = "2025.10.1",
        note = "It rewards overfitting. Use [`Self::score`]."
    )]
    pub training_r2: Option<f64>,
}

/// Decoders by their bit rate in real use, per task.
///
/// A view over [`crate::behavior::DailyPerformance`], so practice doesn't count. Compare decoders
/// of one implant only, and mind [`Self::days`]: one good day isn't a better decoder.
#[table(
    sql = r"
        select
            d.implant_id,
            d.decoder_id,
            d.architecture,
            p.task,
            count(distinct p.session_date) as days,
            sum(p.trials) as trials,
            avg(p.bitrate) as mean_bitrate,
            max(p.bitrate) as best_bitrate
        from training.decoders d
        join behavior.daily_performance p
            on p.implant_id = d.implant_id and p.decoder_id = d.decoder_id
        group by d.implant_id, d.decoder_id, d.architecture, p.task
    ",
    unique_by(decoder_id, task),
    owner = "decoding",
    tags("models", "score"),
    example(implant_id = 7, task = "webgrid")
)]
#[doc(alias = "benchmark")]
pub struct DecoderLeaderboard {
    /// Implant the decoder was trained for.
    pub implant_id: i32,
    /// The decoder, see [`Decoders::decoder_id`].
    pub decoder_id: String,
    /// Kind of model.
    pub architecture: String,
    /// The task, see [`crate::behavior::Trials::task`].
    pub task: String,
    /// Days in use.
    pub days: i64,
    /// Trials without practice.
    pub trials: i64,
    /// Mean of the daily bit rates.
    #[column(unit = "bit/s")]
    pub mean_bitrate: f64,
    /// Best daily bit rate.
    #[column(unit = "bit/s")]
    pub best_bitrate: f64,
}

/// Simulated bins with known intent, for testing decoders without a participant.
///
/// Same columns as [`AlignedBins`] where they matter. Part of the catalog only with the crate's
/// `synthetic` feature.
#[cfg(feature = "synthetic")]
#[table(
    delta = "s3://lake/training/synthetic_bins",
    partition_by(seed),
    unique_by(seed, bin),
    owner = "decoding",
    tags("labels", "synthetic"),
    example(seed = 42)
)]
pub struct SyntheticBins {
    /// Seed of the simulated participant.
    pub seed: i32,
    /// Number of the 15 ms bin.
    pub bin: i64,
    /// Simulated power of each channel.
    #[column(unit = "z")]
    pub band_power: Vec<f32>,
    /// Intended movement to the right.
    #[column(unit = "screen")]
    pub error_x: f64,
    /// Intended movement downwards.
    #[column(unit = "screen")]
    pub error_y: f64,
}
