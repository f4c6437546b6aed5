//! `loupe profile show NAME`.

use loupe_common::wire::Failure;

use crate::client::args::{Global, Moment, ProfileShow};
use crate::client::{Ending, output, services};
use crate::plan::Service;
use crate::report;

pub async fn run(global: &Global, args: &ProfileShow) -> Result<Ending, Failure> {
    let since = args.since.map(Moment::unix_ms);
    let profiles = services::named(global, &args.name, since).await?;
    if args.json {
        output::print_json(&report::profile_json(&profiles, since))?;
        return Ok(Ending::OK);
    }
    let services = Service::all(&profiles);
    let text = report::profiles(&services, since, args.operations, output::style());
    output::print(&text)?;
    Ok(Ending::OK)
}
