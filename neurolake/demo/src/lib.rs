//! The lake of a company that builds brain implants: what is recorded, built, implanted and
//! learned, in one place.
//!
//! Everything meets at four keys: `implant_id`, `session_id`, `surgery_id` and a part's `serial`.
//!
//! | you look for | start at | ask |
//! | - | - | - |
//! | brain signals | [`neural::Sessions`], then [`neural::NormalizedBandPower`] | signals |
//! | cursor, tasks, bit rate | [`behavior::DailyPerformance`] | decoding |
//! | labelled data, decoders | [`training::AlignedBins`] | decoding |
//! | battery, heat, radio | [`telemetry::DeviceHealth`] | devices |
//! | parts, tests, yield | [`manufacturing::AssemblySteps`] | manufacturing |
//! | operations, robot | [`surgery::robot_insertions`] | robotics |
//! | tissue | [`imaging::TissueResponse`] | histology |
//! | the study | [`clinical::Participants`] | clinical |
//! | animals, stock | [`lab::Animals`] | animal-care |
//! | logs, crashes | [`logs::Crashes`] | devices |
//!
//! Tables tagged `phi` hold health data of people: use them for the study's purposes, and don't
//! copy rows out of the lake. Tables tagged `live` are queryable seconds after the event.

pub mod behavior;
pub mod clinical;
pub mod imaging;
pub mod lab;
pub mod logs;
#[cfg(feature = "engine")]
mod made_up;
pub mod manufacturing;
pub mod neural;
#[cfg(feature = "engine")]
pub mod simulate;
pub mod surgery;
pub mod telemetry;
pub mod training;
