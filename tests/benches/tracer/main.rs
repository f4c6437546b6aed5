//! What tracing costs: per syscall, in throughput of real servers, and what it loses at the
//! highest rate. Every figure beside its own floor, in one run: nothing attached, and a pair of
//! raw-tracepoint programs that do nothing.

mod calls;
mod flood;
mod servers;

fn main() {
    calls::serve_if_asked();
    calls::run();
    flood::run();
    servers::run();
}
