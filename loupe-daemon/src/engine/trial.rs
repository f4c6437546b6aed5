//! A workload tried once: its baseline, and whether the test notices that there is no application.
//! Or only a shell where the workload would run.

use std::sync::Arc;

use loupe_common::analysis::TestCheck;
use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::{ExitStatus, Replay};
use loupe_common::word::Word;
use tokio_util::sync::CancellationToken;

use super::analysis::Order;
use super::bench::How;
use super::{
    AnalyzeError, AnalyzeOptions, Engine, Identity, ProgressSink, RunControl, RunRequest,
    fingerprint, parallel, script, test_check,
};
use crate::replay::{Prepared, Workload};
use crate::store::Store;

/// What a shell is started by. Every workload's `PATH` has it.
const SHELL: &str = "/bin/sh";
/// Variables of the terminal, which a shell needs to be of use.
const OF_THE_TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "PS1"];

/// What was seen.
#[derive(Clone, Debug)]
pub struct Trial {
    pub replay: Replay,
    /// What the test made of an application that was never started.
    pub absent: TestCheck,
}

impl Engine {
    /// Tries it. The replay stays in the database under an analysis of its own, which is never
    /// finished nor continued.
    pub async fn try_once(
        &self,
        store: &Arc<Store>,
        workload: &Workload,
        identity: &Identity,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Trial, AnalyzeError> {
        let order = Order {
            store,
            workload,
            identity,
            fresh: true,
            how: How {
                watched: 1,
                ..How::default()
            },
        };
        let usual = AnalyzeOptions::default();
        let session = self.open(&order, |prepared| {
            let text = fingerprint::of(prepared, identity, &usual)?;
            Ok(format!("trial\n{text}"))
        })?;
        let recording = &session.recording;
        let prepared = &recording.0.bench.prepared;
        if let Some(text) = tokio::task::block_in_place(|| script::remark(prepared, identity)) {
            progress(Progress::Notice { text });
        }
        let tried = async {
            let slots = session.cpus.slots(1);
            recording.0.set_slots(Arc::clone(&slots));
            let replay = parallel::first(recording, &slots).await?;
            let absent = test_check::absent(recording, &progress).await?;
            Ok(Trial { replay, absent })
        };
        let tried = session.until(&cancel, tried).await;
        store.abandon_analysis(recording.0.run.id)?;
        tried.map_err(|error| match error {
            cancelled if cancelled.is_cancelled() => AnalyzeError::Cancelled,
            other => other,
        })
    }

    /// Runs a shell in the workload's sandbox, with its environment and directory, and this
    /// standard input, output and error.
    pub async fn shell(
        &self,
        workload: &Workload,
        identity: &Identity,
        stdio: [std::os::fd::OwnedFd; 3],
        control: RunControl,
    ) -> Result<ExitStatus, AnalyzeError> {
        let prepared = Prepared::new(workload, identity)?;
        let command = &prepared.command;
        let terminal = OF_THE_TERMINAL.iter().filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((Word::from(*name), Word::from(value)))
        });
        let request = RunRequest {
            command: vec![Word::from(SHELL)],
            environment: command
                .environment
                .iter()
                .cloned()
                .chain(terminal)
                .collect(),
            directory: command.directory.clone(),
            target: None,
            policy: Policy::baseline(),
            latency: false,
            pseudo_files: false,
            no_vdso: false,
            identity: command.identity.clone(),
            ignored_signals: 0,
        };
        let sandbox = Some(prepared.sandbox.clone());
        let report = self.run_in(sandbox, request, stdio, None, control).await?;
        Ok(report.exit)
    }
}
