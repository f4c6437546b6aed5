//! A network of a test's own: a namespace, and a cable from there to this host that can be pulled. Both
//! are gone when it is dropped.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// See the module.
pub struct Network {
    name: String,
    number: u16,
}

/// Addresses for tests of networks (RFC 2544), of which each network has four.
const BLOCK: [u8; 2] = [198, 18];

impl Network {
    /// # Panics
    /// If the kernel refuses one.
    pub fn lay() -> Network {
        static MADE: AtomicU16 = AtomicU16::new(0);
        // Processes that test side by side have other numbers.
        let number = (std::process::id() as u16)
            .wrapping_mul(8)
            .wrapping_add(MADE.fetch_add(1, Ordering::Relaxed))
            % (1 << 14);
        let network = Network {
            name: format!("loupe-{number}"),
            number,
        };
        ip(&["netns", "add", &network.name]);
        let (here, there) = (network.interface(), "uplink");
        ip(&[
            "link",
            "add",
            &here,
            "type",
            "veth",
            "peer",
            "name",
            there,
            "netns",
            &network.name,
        ]);
        let with_bits = |address: Ipv4Addr| format!("{address}/30");
        ip(&["address", "add", &with_bits(network.host()), "dev", &here]);
        network.plug();
        let inside = with_bits(network.address(2));
        for words in [
            ["address", "add", &inside, "dev", there].as_slice(),
            &["link", "set", there, "up"],
            &["link", "set", "lo", "up"],
            // Another network's address of this host is reached as well.
            &[
                "route",
                "add",
                "default",
                "via",
                &network.host().to_string(),
            ],
        ] {
            let mut all = vec!["-n", &network.name];
            all.extend(words);
            ip(&all);
        }
        network
    }

    /// This host, as it is seen from there.
    pub fn host(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The words before a command that is to run there. Its mounts stay this host's, which `ip netns
    /// exec` would change.
    pub fn enter(&self) -> Vec<String> {
        vec![
            "nsenter".to_owned(),
            format!("--net=/run/netns/{}", self.name),
            "--".to_owned(),
        ]
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn pull(&self) {
        ip(&["link", "set", &self.interface(), "down"]);
    }

    pub fn plug(&self) {
        ip(&["link", "set", &self.interface(), "up"]);
    }

    fn interface(&self) -> String {
        format!("loupe{}", self.number)
    }

    fn address(&self, at: u16) -> Ipv4Addr {
        let [high, low] = (self.number * 4 + at).to_be_bytes();
        Ipv4Addr::new(BLOCK[0], BLOCK[1], high, low)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with it.
        ip(&["netns", "delete", &self.name]);
    }
}

/// # Panics
/// If it fails.
fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().expect("ip");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words:?}: {said}");
}
