//! What a fleet's agent asks of this host, and a fleet's errors in the form that reaches the user.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use loupe_common::exit;
use loupe_common::wire::Failure;

use super::Here;
use crate::exchange::{ExchangeError, Gather, Gathered, Wanted};
use crate::fleet;
use crate::nats::{Credentials, Part};

/// All that leaves this host, as who its credentials say that it is.
pub fn gather(backend: Arc<Here>, credentials: &Path, tell_name: bool) -> Result<Gather, Failure> {
    let credentials = Credentials::read(credentials, Part::Host)
        .map_err(|error| exchange_failure(&error.into()))?;
    Ok(Arc::new(move |wanted: Wanted| {
        let news = backend.profile_news().map_err(|failure| failure.message)?;
        if wanted.beyond == Some(news) {
            return Ok(None);
        }
        let (profiles, days) = backend
            .profiles(wanted.with_times)
            .map_err(|failure| failure.message)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 is wrong anyway.
        let now_ms = now.map_or(0, |now| now.as_millis() as u64);
        let name = tell_name.then(|| credentials.name.clone());
        let host = fleet::this_machine(credentials.id.clone(), name, now_ms)
            .map_err(|error| error.to_string())?;
        let bundle = fleet::export(host, &profiles, &days);
        Ok(Some(Gathered { bundle, news }))
    }))
}

pub fn exchange_failure(error: &ExchangeError) -> Failure {
    let code = match error.is_usage() {
        true => exit::USAGE,
        false => exit::LOUPE_FAILED,
    };
    Failure::from_error(code, error).explained(error.hint(), None)
}
