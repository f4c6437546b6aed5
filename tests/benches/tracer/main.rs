//! What tracing costs: per syscall, in throughput of real servers, and what it loses at the
//! highest rate. Every figure beside its own floor, in one run: nothing attached, and a pair of
//! raw-tracepoint programs that do nothing.
//!
//! `cargo xtask bench tracer -- [calls] [flood] [servers]`; all three where none is named.

mod calls;
mod flood;
mod getppid;
mod servers;

fn main() {
    getppid::serve_if_asked();
    let parts: [(&str, fn()); 3] = [
        ("calls", calls::run),
        ("flood", flood::run),
        ("servers", servers::run),
    ];
    let chosen: Vec<String> = std::env::args().collect();
    let all = !parts
        .iter()
        .any(|(name, _)| chosen.iter().any(|word| word == name));
    for (name, run) in parts {
        if all || chosen.iter().any(|word| word == name) {
            run();
        }
    }
}
