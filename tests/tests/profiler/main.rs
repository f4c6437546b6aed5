//! What the profiler counts is what was called: by owner and executable, wherever processes and
//! cgroups go meanwhile. From inside, without a command line around it.

mod bounds;
mod calls;
mod cgroups;
mod files;
mod kinds;
mod processes;
mod scene;
