//! Where metrics come from: reads what there is to measure, and no more often than that is cheap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use loupe_common::wire::Failure;
use tokio::sync::{Mutex, watch};

use crate::profile::Readings;
use crate::report::{Measured, MetricsForm, metrics};
use crate::server::config::{InForce, MetricsConfig};

/// What is not older is told again: everybody on this host may ask, and each reading takes in
/// counters and writes to the database.
const FRESH: Duration = Duration::from_secs(5);

/// Takes a reading, with syscalls or without them.
type Read = dyn Fn(bool) -> Result<Readings, Failure> + Send + Sync;

/// See the module. Clones are one source.
#[derive(Clone)]
pub struct Source {
    read: Arc<Read>,
    started_ms: u64,
    pub config: watch::Receiver<InForce>,
    told: Arc<Mutex<Told>>,
}

/// What was told last.
#[derive(Default)]
struct Told {
    at: Option<Instant>,
    config: InForce,
    texts: BTreeMap<MetricsForm, String>,
}

impl Source {
    /// The daemon is started now.
    pub fn new(
        read: impl Fn(bool) -> Result<Readings, Failure> + Send + Sync + 'static,
        config: watch::Receiver<InForce>,
    ) -> Source {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Source {
            read: Arc::new(read),
            // A clock before 1970 is wrong anyway.
            started_ms: since.map_or(0, |since| since.as_millis() as u64),
            config,
            told: Arc::default(),
        }
    }

    pub fn chosen(&self) -> MetricsConfig {
        self.config.borrow().config.metrics.clone()
    }

    /// The metrics as they are now, or were a moment ago. Whoever asks meanwhile waits for one
    /// reading.
    pub async fn text(&self, form: MetricsForm) -> Result<String, Failure> {
        let mut told = self.told.lock().await;
        let config = self.config.borrow().clone();
        let is_fresh = told.at.is_some_and(|at| at.elapsed() < FRESH) && told.config == config;
        if !is_fresh {
            told.texts.clear();
        }
        if let Some(text) = told.texts.get(&form) {
            return Ok(text.clone());
        }
        let (source, in_force) = (self.clone(), config.clone());
        let texts = tokio::task::spawn_blocking(move || source.read(&in_force))
            .await
            .map_err(|error| Failure::internal("reading metrics").because(Some(&error)))??;
        let text = texts.get(&form).cloned().unwrap_or_default();
        *told = Told {
            at: Some(Instant::now()),
            config,
            texts,
        };
        Ok(text)
    }

    /// In both forms, so that they say the same.
    fn read(&self, in_force: &InForce) -> Result<BTreeMap<MetricsForm, String>, Failure> {
        let readings = (self.read)(in_force.config.metrics.syscalls)?;
        let measured = Measured {
            version: crate::VERSION,
            started_ms: self.started_ms,
            configuration_refused: in_force.refused.is_some(),
            readings: &readings,
        };
        [MetricsForm::OpenMetrics, MetricsForm::Prometheus]
            .into_iter()
            .map(|form| Ok((form, metrics(&measured, form)?)))
            .collect::<Result<_, std::fmt::Error>>()
            .map_err(|error| Failure::internal("cannot write metrics").because(Some(&error)))
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use loupe_common::profile::{ProfileLost, ProfileStatus};

    use super::*;

    /// A host on which nothing is watched.
    pub fn nothing() -> Readings {
        Readings {
            status: ProfileStatus {
                since_ms: 0,
                targets: Vec::new(),
                subjects: Vec::new(),
                duty: 1.0,
                duty_measured: true,
                attached: false,
                overhead: None,
                lost: ProfileLost::default(),
                store_bytes: 0,
                troubles: Vec::new(),
                fleet: None,
            },
            syscalls: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn many_who_ask_cost_one_reading_and_another_configuration_another() {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let (change, config) = watch::channel(InForce::default());
        let source = Source::new(
            move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(nothing())
            },
            config,
        );
        let asked = (0..20).map(|_| source.text(MetricsForm::OpenMetrics));
        let texts = futures::future::try_join_all(asked).await.expect("read");
        assert!(texts.iter().all(|text| *text == texts[0]));
        let other = source.text(MetricsForm::Prometheus).await.expect("read");
        assert!(other.contains("loupe_configuration_refused 0"), "{other}");
        assert_eq!(count.load(Ordering::Relaxed), 1);

        change.send_modify(|now| now.refused = Some("a wrong key".to_owned()));
        let text = source.text(MetricsForm::Prometheus).await.expect("read");
        assert!(text.contains("loupe_configuration_refused 1"), "{text}");
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_and_asked_for_again() {
        let count = AtomicU64::new(0);
        let (_change, config) = watch::channel(InForce::default());
        let source = Source::new(
            move |_| match count.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Failure::internal("a damaged database")),
                _ => Ok(nothing()),
            },
            config,
        );
        let form = MetricsForm::Prometheus;
        let failure = source.text(form).await.expect_err("damaged");
        assert_eq!(failure.message, "a damaged database");
        source.text(form).await.expect("well again");
    }
}
