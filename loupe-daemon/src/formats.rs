//! Measured needs in the forms that other programs take: seccomp profiles for containers, systemd
//! drop-ins, Gramine's mocks, dispatch tables in C and Rust. Profiles are also read back, to be tried.
//!
//! Pure: analyses in, text out, and text in, profiles out. Runs nothing, reads no file.

mod gramine;
mod need;
mod profile;
mod seccomp;
mod system;
mod systemd;
mod table;

#[cfg(test)]
mod tests;

pub use gramine::gramine_mocks;
pub use need::{Class, Needs};
pub use profile::{Extent, Host, Profile, ProfileError, Starter, VDSO};
pub use seccomp::{read_oci, write_oci};
pub use system::left_out;
pub use systemd::{Groups, read_drop_in, write_drop_in};
pub use table::{c_header, rust_table};

/// Reads a profile of any form that is read, told apart by how it begins.
pub fn read_profile(text: &str, host: &Host) -> Result<Profile, ProfileError> {
    match text.trim_start().starts_with('{') {
        true => read_oci(text, host.kernel),
        false => read_drop_in(text, &host.groups),
    }
}
