//! `simulate`

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::arguments::{ReportFormat, Simulate};
use super::exit::Exit;
use super::failure::Failure;
use super::query::count;
use super::talk::{pretty_json, print};
use super::{Context, Outcome, ingest, listen};
use crate::Timestamp;
use crate::simulation::{Progress, SimulationError, SimulationSettings, Simulator, Totals};

/// After Ctrl-C, for what is made and not yet taken.
const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context<'_>, arguments: &Simulate) -> Outcome {
    let simulator = simulator(context)?;
    let settings = settings(context, arguments);
    let talk = context.talk;
    talk.say(&format!("sending events to {}", settings.url));
    let progress: Progress = Arc::new(move |totals: &Totals| {
        if talk.is_watched() {
            let _ = write!(io::stderr(), "\r\x1b[2K{}", line(totals));
        }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = Box::pin(async move {
        let _ = stopped.await;
    });
    let mut work = Box::pin(simulator.run(settings, stopped, progress));
    let interrupt = listen::asked_to_end()?;
    let (outcome, was_interrupted) = tokio::select! {
        outcome = &mut work => (Some(outcome), false),
        () = interrupt => {
            let _ = stop.send(());
            (tokio::time::timeout(GRACE, &mut work).await.ok(), true)
        }
    };
    if talk.is_watched() {
        let _ = write!(io::stderr(), "\r\x1b[2K");
    }
    let Some(outcome) = outcome else {
        return Err(Failure::unanswered(
            "the server doesn't take the last events; whether it has them is unknown",
        ));
    };
    let totals = outcome.map_err(failed)?;
    report(&totals, arguments.format)?;
    // A simulation without an end is meant to be ended this way.
    let is_done = !was_interrupted || arguments.duration.is_none();
    Ok(if is_done {
        Exit::Done
    } else {
        Exit::Interrupted
    })
}

/// Sends events to a server of this process until it is dropped.
pub(super) async fn accompany(context: &Context<'_>, url: String) -> Result<(), Failure> {
    let simulator = simulator(context)?;
    let settings = SimulationSettings {
        url,
        seed: 1,
        speed: 1.0,
        channels: 256,
        rate_hz: 1_000.0 / 15.0,
        participants: 1,
        duration: None,
        start: now(),
    };
    let never = Box::pin(std::future::pending());
    let outcome = simulator.run(settings, never, Arc::new(|_| ())).await;
    outcome.map(drop).map_err(failed)
}

fn simulator<'a>(context: &'a Context<'_>) -> Result<&'a Simulator, Failure> {
    context.program.simulator.as_ref().ok_or_else(|| {
        Failure::usage("this program has no simulator")
            .hint("give it one: `neurolake::program().simulator(run)`")
    })
}

fn failed(error: SimulationError) -> Failure {
    match error {
        SimulationError::Settings(message) => Failure::usage(message),
        SimulationError::Ingest(error) => {
            Failure::unanswered("the server doesn't take the events").caused_by(error)
        }
    }
}

fn settings(context: &Context<'_>, arguments: &Simulate) -> SimulationSettings {
    let serving = || {
        let serving = ingest::serving(&context.config.data)?;
        Some(context.config.as_owner(&serving))
    };
    let url = arguments.url.clone().or_else(serving);
    SimulationSettings {
        url: url.unwrap_or_else(|| format!("http://{}", listen::LISTEN)),
        seed: arguments.seed,
        speed: arguments.speed,
        channels: arguments.channels,
        rate_hz: arguments.rate,
        participants: arguments.participants,
        duration: arguments.duration,
        start: arguments.start.unwrap_or_else(now),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// How far it is, for people.
fn line(totals: &Totals) -> String {
    let made = usize::try_from(totals.made()).unwrap_or(usize::MAX);
    let mut text = format!(
        "{:.0} s simulated, {} made, {} taken",
        totals.simulated_seconds,
        count(made, "row"),
        totals.acknowledged()
    );
    if let Some(trouble) = &totals.trouble {
        // Hints and causes have lines of their own.
        text.push_str(": ");
        text.push_str(trouble.lines().next().unwrap_or_default());
    }
    text
}

fn report(totals: &Totals, format: ReportFormat) -> Result<(), Failure> {
    if format == ReportFormat::Json {
        return print(&pretty_json(totals)?);
    }
    let mut text = format!("{}\n", line(totals));
    for table in &totals.tables {
        text.push_str(&format!(
            "  {:<32} {:>10} taken in {}\n",
            table.table,
            table.acknowledged,
            count(
                usize::try_from(table.requests).unwrap_or(usize::MAX),
                "request"
            ),
        ));
    }
    print(&text)
}

/// `10`, `0.5` or `max`.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    if text == "max" {
        return Ok(f64::INFINITY);
    }
    let speed: Option<f64> = text.parse().ok();
    speed
        .filter(|speed| *speed > 0.0)
        .ok_or_else(|| "expected a number above 0, or `max`".to_owned())
}

/// `90s`, `5m`, `1.5h`; a number alone counts seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3_600.0),
        _ => (text, 1.0),
    };
    let number: Option<f64> = number.parse().ok();
    number
        .and_then(|number| Duration::try_from_secs_f64(number * seconds).ok())
        .ok_or_else(|| "expected a time such as `90s`, `5m` or `1h`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [("90s", 90.0), ("5m", 300.0), ("1.5h", 5_400.0), ("7", 7.0)] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in ["", "s", "-1s", "1d", "NaN", "inf", "1e30h", "ü"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(speed("0.5"), Ok(0.5));
        assert_eq!(speed("max"), Ok(f64::INFINITY));
        for text in ["0", "-1", "NaN", "fast"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
