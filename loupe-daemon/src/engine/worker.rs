//! This host as a worker of analyses whose replays are spread: runs jobs of any workload, each with a CPU
//! of its own. Judges nothing, keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use loupe_common::host_class::HostClass;
use loupe_common::provenance::Provenance;
use loupe_common::replay::Replay;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Manner, reached};
use super::package::{Package, Packages};
use super::recording::blocking;
use super::slots::Slots;
use super::{AnalyzeError, Engine, EngineError, Identity, provenance};
use crate::executable::{self, Digest};
use crate::launcher::with_rights_of;
use crate::now_ms;
use crate::replay::{Heartbeat, Part, PrepareError, Prepared};
use crate::run::Cancel;
use crate::spread::{self, Answer, Job};
use crate::tracer::Attachment;

/// Runs jobs on this host.
pub struct HostWorker<P> {
    engine: Arc<Engine>,
    /// Whose rights workloads have here.
    identity: Identity,
    packages: P,
    /// Workloads by subject; or what lacks here for one.
    open: tokio::sync::Mutex<BTreeMap<String, Result<Arc<Open>, String>>>,
}

/// Workloads that are kept open. Each has threads that look whether its CPUs stand still.
const MOST_OPEN: usize = 16;

/// A workload that can be replayed here.
struct Open {
    bench: Bench,
    class: HostClass,
    slots: Arc<Slots>,
    _attached: Attachment,
}

impl<P: Packages> HostWorker<P> {
    pub fn new(engine: Arc<Engine>, identity: Identity, packages: P) -> HostWorker<P> {
        HostWorker {
            engine,
            identity,
            packages,
            open: tokio::sync::Mutex::default(),
        }
    }

    async fn open(&self, subject: &str) -> Result<Arc<Open>, String> {
        let mut open = self.open.lock().await;
        if let Some(known) = open.get(subject) {
            return known.clone();
        }
        let opened = match self.packages.get(subject).await {
            Ok(package) => self.prepare(package).map_err(|error| told(&error)),
            // It may be there later.
            Err(missing) => return Err(missing),
        };
        if open.len() >= MOST_OPEN {
            // What runs stays.
            let is_idle = |opened: &Result<Arc<Open>, String>| match opened {
                Ok(open) => Arc::strong_count(open) == 1,
                Err(_) => true,
            };
            let idle = open.iter().filter(|(_, opened)| is_idle(opened));
            let idle: Vec<String> = idle.map(|(subject, _)| subject.clone()).collect();
            for subject in idle {
                open.remove(&subject);
                self.packages.forget(&subject);
            }
        }
        open.insert(subject.to_owned(), opened.clone());
        opened
    }

    fn prepare(&self, package: Package) -> Result<Arc<Open>, AnalyzeError> {
        let mut workload = package.workload;
        workload.base = package.base;
        let prepared = Prepared::new(&workload, &self.identity)?;
        let engine = &self.engine;
        let tracer = tokio::task::block_in_place(|| engine.tracer()).map_err(EngineError::from)?;
        let attached = tracer.attach().map_err(EngineError::from)?;
        let class = class_of(&prepared, &self.identity)?;
        let cpus = engine.cpus();
        let heartbeat = Heartbeat::start(&cpus.numbers());
        let launcher = Arc::clone(&engine.launcher);
        Ok(Arc::new(Open {
            bench: Bench::new(prepared, package.how, (launcher, tracer), heartbeat),
            class,
            slots: cpus.slots(cpus.numbers().len()),
            _attached: attached,
        }))
    }
}

/// A user of this host, if there is one whose workloads this process may run.
pub fn user_identity(name: &str, own: &Identity) -> Option<Identity> {
    crate::replay::user_identity(Some(name), own).ok()
}

/// This host, with any build, for workloads with these rights.
pub fn host_class(identity: &Identity) -> HostClass {
    let name = nix::sys::utsname::uname().ok();
    let word = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        let name = name.as_ref();
        name.map_or_else(String::new, |name| of(name).to_string_lossy().into_owned())
    };
    let shell = executable::open_local("/proc/self".as_ref(), "/bin/sh".as_ref());
    HostClass {
        kernel: word(nix::sys::utsname::UtsName::release),
        architecture: word(nix::sys::utsname::UtsName::machine),
        libc: shell.and_then(executable::c_library),
        root: identity.uid == 0,
        target: None,
    }
}

/// The same with the build of a workload's target.
fn class_of(prepared: &Prepared, identity: &Identity) -> Result<HostClass, PrepareError> {
    let Provenance { target, .. } =
        tokio::task::block_in_place(|| provenance::of(prepared, identity, now_ms().cast_signed()))?;
    let content = || {
        let file = executable::open_local("/proc/self".as_ref(), &prepared.target)?;
        let mut digest = Digest::default();
        digest.file(file);
        Some(digest.finish())
    };
    let build = match target.build_id {
        Some(build) => Some(build),
        None => with_rights_of(identity, content).map_err(PrepareError::Rights)?,
    };
    Ok(HostClass {
        // One that is yet to be made is told apart by nothing.
        target: build.or(Some("unknown".to_owned())),
        ..host_class(identity)
    })
}

/// With all that lies behind it, in one line.
fn told(error: &AnalyzeError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

impl<P: Packages> spread::Bench for HostWorker<P> {
    async fn run(&self, job: &Job, stop: &CancellationToken) -> Option<(HostClass, Answer)> {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            opened = self.open(&job.subject) => opened,
        };
        let open = match opened {
            Ok(open) => open,
            Err(lacks) => return Some((host_class(&self.identity), Answer::Cannot(lacks))),
        };
        if !job.class.admits(&open.class) {
            let what = format!("it is of another kind: {}", open.class);
            return Some((open.class.clone(), Answer::Cannot(what)));
        }
        let answer = match replay(&open, job, stop).await {
            _ if stop.is_cancelled() => return None,
            Ok(replay) if is_partial(job.order.part, &replay) => {
                let reached = reached(&job.facts, &replay);
                Answer::Partial(Box::new(replay), reached)
            }
            Ok(replay) => Answer::Replayed(Box::new(replay)),
            Err(error) if error.may_be_overload() => Answer::Lost(told(&error)),
            Err(error) => Answer::Cannot(told(&error)),
        };
        Some((open.class.clone(), answer))
    }
}

/// What fails in its beginning has failed as a whole.
fn is_partial(part: Part, replay: &Replay) -> bool {
    match part {
        Part::Whole => false,
        Part::Start => replay.outcome.passed(),
        Part::Sabotaged(_) => true,
    }
}

/// Runs one; when `stop` fires, it is ended first.
async fn replay(
    open: &Arc<Open>,
    job: &Job,
    stop: &CancellationToken,
) -> Result<Replay, AnalyzeError> {
    let cancel = Cancel::new().map_err(EngineError::from)?;
    let slot = open.slots.take_cpu().await;
    let running = {
        let (open, job, cancel) = (Arc::clone(open), job.clone(), cancel.clone());
        blocking(move || {
            let request = job.order.request();
            let manner = Manner {
                part: job.order.part,
                watch: request.is_watched(open.bench.how.watched),
                control: request.control,
                cancel: &cancel,
            };
            Ok((open.bench).run(&request.policy, &job.facts, &slot, manner)?)
        })
    };
    tokio::pin!(running);
    tokio::select! {
        ran = &mut running => ran,
        () = stop.cancelled() => {
            cancel.cancel();
            running.await
        }
    }
}
