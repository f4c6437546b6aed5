//! Loupe's chores, one file a verb: `cargo xtask help`.
//!
//! Everything that people or CI do to this workspace beyond cargo's own commands starts here.

mod apt;
mod bench;
mod build;
mod codegen;
#[path = "../../loupe-daemon/build/commit.rs"]
mod commit;
mod demo;
mod dist;
mod fleet_demo;
mod kernel;
mod lint;
#[path = "../../loupe-daemon/build/nested.rs"]
mod nested;
mod setup;
mod test;
#[path = "../../loupe-daemon/build/toolchain.rs"]
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Loupe's chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the build, the demo and the tests need (Debian; says what and asks first)
    Setup(setup::Arguments),
    /// Build the binaries `loupe` and `louped`
    Build(build::Arguments),
    /// Set up, build in release, analyse the real nginx and print its verdict table
    Demo(demo::Arguments),
    /// Set up, build in release, and show a fleet of two hosts on this machine, in namespaces
    FleetDemo(fleet_demo::Arguments),
    /// Set up, then run every test, the privileged end-to-end ones included
    Test(test::Arguments),
    /// Check formatting and lints, also for the tests and the in-kernel programs
    Lint,
    /// Generate the tables that come from the kernel's headers
    Codegen(codegen::Arguments),
    /// Make the Debian package and the tarball, into target/dist
    Dist(dist::Arguments),
    /// Run the benchmarks in tests/benches
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Build(arguments) => build::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::FleetDemo(arguments) => fleet_demo::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Lint => lint::run(),
        Verb::Codegen(arguments) => codegen::run(&arguments),
        Verb::Dist(arguments) => dist::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
