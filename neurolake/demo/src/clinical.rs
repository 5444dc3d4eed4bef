//! Clinical study: participants and safety, kept by the study team in Google Sheets.
//!
//! Sheets are read through the `workspace` connection and cached for the `refresh` time. A row
//! whose cells don't fit the declared types fails the query and names the cell, so tell the study
//! team instead of working around it. Names and hospital numbers never leave the hospital; only
//! codes such as `P-03` appear here.

use neurolake::prelude::*;

/// Participants of the study, one row per code.
///
/// A row appears with consent and stays when a participant leaves. [`Self::left_on`] is then set
/// and later data must not be used.
#[table(
    sheet = "1ParticipantsDemoSheet0000000000000000000000",
    store = "workspace",
    tab = "Participants",
    refresh = "1h",
    unique_by(code),
    owner = "clinical",
    tags("phi", "study"),
    example(code = "P-03")
)]
#[doc(alias = "patients")]
#[doc(alias = "subjects")]
pub struct Participants {
    /// Code of the participant, such as `P-03`.
    pub code: String,
    /// Day of informed consent.
    #[column(pii)]
    pub consented_on: Date,
    /// Day of leaving the study; null while taking part.
    #[column(pii)]
    pub left_on: Option<Date>,
    /// `spinal cord injury`, `ALS` or `stroke`.
    #[column(pii)]
    pub diagnosis: String,
    /// Neurological level of injury, such as `C4`; null for other diagnoses.
    #[column(pii)]
    pub injury_level: Option<String>,
    /// Hand used before the injury.
    pub handedness: String,
    /// Implant in use; null before surgery and after explantation.
    pub implant_id: Option<i64>,
    /// Hours per week the participant agreed to.
    #[column(unit = "h")]
    pub weekly_hours: f64,
}

/// Adverse events, one row per event, as reported to the ethics board.
///
/// Two rows of explanation stand above the header. `serious` follows ISO 14155: it is about the
/// outcome, not about severity. An event stays open until [`Self::resolved_on`] is filled in.
#[table(
    sheet = "1AdverseEventsDemoSheet000000000000000000000",
    store = "workspace",
    tab = "AE log",
    range = "A3:I",
    header_row = 3,
    refresh = "10m",
    unique_by(event_id),
    owner = "clinical",
    tags("phi", "safety", "study"),
    example(serious = false, resolved_on = None)
)]
#[doc(alias = "AE")]
#[doc(alias = "SAE")]
pub struct AdverseEvents {
    /// Number in the log, such as `AE-017`.
    pub event_id: String,
    /// The participant, see [`Participants::code`].
    pub participant: String,
    /// First symptom.
    #[column(pii)]
    pub started_on: Date,
    /// End of the event; null while open.
    #[column(pii)]
    pub resolved_on: Option<Date>,
    /// Preferred term of MedDRA.
    pub term: String,
    /// `mild`, `moderate` or `severe`.
    pub severity: String,
    /// Whether it counts as serious under ISO 14155.
    pub serious: bool,
    /// `unrelated`, `possible`, `probable` or `causal`.
    pub device_related: String,
    /// What was done. May hold personal details.
    #[column(pii)]
    pub action: Option<String>,
}

/// Key from participant codes to the hospital's case numbers.
///
/// Hidden from the site and readable by the privacy officer's role only; it is declared so that
/// erasure requests can be carried out in SQL.
#[table(
    postgres = "privacy.case_keys",
    store = "hospital",
    unique_by(code),
    owner = "clinical",
    tags("phi", "restricted"),
    example(code = "P-03")
)]
#[doc(hidden)]
pub struct CaseKeys {
    /// Code of the participant, see [`Participants::code`].
    pub code: String,
    /// Case number in the hospital's system.
    #[column(pii)]
    pub case_number: String,
    /// Until when the link may be kept.
    pub erase_after: Date,
}
