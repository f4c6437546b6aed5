//! One file per request, but for those that only look something up.

mod analyze;
mod profile;
mod run;

use std::sync::Arc;

use loupe_common::exit;
use loupe_common::profile::ProfileRequest;
use loupe_common::wire::{Failure, Reply, Request, SUPPORTED, code};
use serde::Serialize;
use serde_json::Value;

use super::connection::{Client, Gone, reply};
use super::{Server, log};
use crate::backend::Backend;

/// Answers one request.
pub(super) async fn serve<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
    request: Request,
) -> Result<(), Gone> {
    let viewer = client.viewer();
    let answer = match request {
        Request::Analyze(request) => return analyze::analyze(server, client, request).await,
        Request::Watch { job } => return analyze::watch(server, client, job).await,
        Request::Run(request) => return run::run(server, client, request).await,
        Request::Profile(ProfileRequest::Watch { name }) => {
            return profile::watch(server, client, name).await;
        }
        Request::Profile(request) => {
            let caller = client.identity.clone();
            look_up(server, move |backend| {
                Ok(Reply::Profile(backend.profile(&caller, request)?))
            })
            .await
        }
        Request::Hello => Ok(Reply::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            supported: SUPPORTED.to_vec(),
            pid: std::process::id(),
        }),
        Request::Jobs => {
            let jobs = Arc::clone(&server.jobs);
            look_up(server, move |_| {
                Ok(Reply::Jobs {
                    jobs: jobs.list(viewer)?,
                })
            })
            .await
        }
        Request::Cancel { job: Some(job) } => {
            let jobs = Arc::clone(&server.jobs);
            look_up(server, move |_| {
                jobs.cancel(viewer, job)?;
                Ok(Reply::Cancelling { job })
            })
            .await
        }
        Request::Cancel { job: None } | Request::Signal { .. } => Err(Failure::new(
            code::BAD_REQUEST,
            exit::USAGE,
            "this request can only follow another one on its connection",
        )),
        Request::List { application } => {
            look_up(server, move |backend| {
                Ok(Reply::Listed {
                    entries: json(&backend.list(viewer, application.as_deref())?)?,
                })
            })
            .await
        }
        Request::Results { analysis } => {
            look_up(server, move |backend| {
                Ok(Reply::Results {
                    entries: json(&backend.results(viewer, analysis)?)?,
                })
            })
            .await
        }
        Request::Show {
            application,
            workload,
        } => {
            look_up(server, move |backend| {
                let stored = backend.show(viewer, &application, workload.as_deref())?;
                Ok(Reply::Shown {
                    analysis: json(&stored)?,
                })
            })
            .await
        }
        Request::Explain {
            application,
            workload,
            feature,
        } => {
            look_up(server, move |backend| {
                let told = backend.explain(viewer, &application, workload.as_deref(), &feature)?;
                Ok(Reply::Explained {
                    evidence: json(&told)?,
                })
            })
            .await
        }
    };
    if let Err(failure) = &answer
        && log::is_own(failure)
    {
        tracing::error!(why = log::line(failure), "a request failed");
    }
    reply(&client.writer, &answer.unwrap_or_else(Reply::Error)).await
}

/// The database blocks, so it is asked on a thread of its own.
async fn look_up<B: Backend>(
    server: &Server<B>,
    question: impl FnOnce(&B) -> Result<Reply, Failure> + Send + 'static,
) -> Result<Reply, Failure> {
    let backend = Arc::clone(&server.backend);
    tokio::task::spawn_blocking(move || question(&backend))
        .await
        .unwrap_or_else(|error| {
            Err(Failure::internal("the database query ended unexpectedly").because(Some(&error)))
        })
}

fn json(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map_err(|error| Failure::internal("a result cannot be written").because(Some(&error)))
}
