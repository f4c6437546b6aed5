//! What the host's services really use: finds out whose a cgroup is, opens windows of observation,
//! and hands what was counted in them to the store. It injects nothing and runs nothing.
//!
//! `docs/design/profile.md` goes through it.
