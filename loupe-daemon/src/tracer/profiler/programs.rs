//! The programs of a profile, loaded by this process or by one before it, and the groups that are
//! attached together.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::BtfTracePoint;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tp_btf::BtfTracePointLink;

use super::pins::Pins;
use crate::tracer::TracerError;
use crate::tracer::programs::btf_program;
use crate::tracer::refusal::program_error;

/// Who loaded them.
enum Source {
    Loaded(Box<Ebpf>),
    Pinned(BTreeMap<&'static str, BtfTracePoint>),
}

/// See the module.
pub struct Programs {
    source: Source,
    pins: Option<Pins>,
}

impl Programs {
    pub fn loaded(ebpf: Ebpf, pins: Option<Pins>) -> Programs {
        Programs {
            source: Source::Loaded(Box::new(ebpf)),
            pins,
        }
    }

    /// Those of these names that were pinned.
    pub fn pinned(
        pins: Pins,
        names: impl Iterator<Item = &'static str>,
    ) -> Result<Programs, TracerError> {
        let program = |name| {
            let program = BtfTracePoint::from_pin(pins.program(name));
            Ok((name, program.map_err(program_error(name))?))
        };
        Ok(Programs {
            source: Source::Pinned(names.map(program).collect::<Result<_, TracerError>>()?),
            pins: Some(pins),
        })
    }

    pub fn get(&mut self, name: &'static str) -> Result<&mut BtfTracePoint, TracerError> {
        match &mut self.source {
            Source::Loaded(ebpf) => btf_program(ebpf, name),
            Source::Pinned(programs) => programs.get_mut(name).ok_or(TracerError::NotEmbedded),
        }
    }

    pub fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    fn attach(&mut self, name: &'static str) -> Result<Link, TracerError> {
        let program = self.get(name)?;
        let id = program.attach().map_err(program_error(name))?;
        let link = program.take_link(id).map_err(program_error(name))?;
        let Some(pins) = &self.pins else {
            return Ok(Link::Own { _link: link });
        };
        let pinned = FdLink::from(link).pin(pins.link(name));
        Ok(Link::Pinned(pinned.map_err(pin_error)?))
    }
}

fn pin_error(error: aya::pin::PinError) -> TracerError {
    TracerError::Pin(std::io::Error::other(error))
}

/// A program that is attached.
enum Link {
    /// For as long as this is there.
    Own { _link: BtfTracePointLink },
    /// For as long as its pin is.
    Pinned(PinnedLink),
}

/// Programs that are attached while somebody holds them.
pub struct Group {
    names: Vec<&'static str>,
    holders: usize,
    links: Vec<Link>,
    attached_for: Option<Duration>,
}

impl Group {
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Group {
        Group {
            names: names.into_iter().collect(),
            holders: 0,
            links: Vec::new(),
            attached_for: None,
        }
    }

    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    pub fn hold(&mut self, programs: &mut Programs) -> Result<(), TracerError> {
        if self.holders == 0 {
            for &name in &self.names {
                match programs.attach(name) {
                    Ok(link) => self.links.push(link),
                    Err(error) => {
                        self.detach();
                        return Err(error);
                    }
                }
            }
        }
        self.holders += 1;
        Ok(())
    }

    /// Holds those that an earlier process has attached; `false`: not all of them are, and now none.
    pub fn hold_pinned(&mut self, programs: &mut Programs) -> Result<bool, TracerError> {
        let Some(pins) = programs.pins() else {
            return Ok(false);
        };
        let links = self
            .names
            .iter()
            .map(|name| PinnedLink::from_pin(pins.link(name)));
        let (found, missing): (Vec<_>, Vec<_>) = links.partition(Result::is_ok);
        self.links = found.into_iter().flatten().map(Link::Pinned).collect();
        if !missing.is_empty() {
            self.detach();
            return Ok(false);
        }
        let made = fs::metadata(pins.link(self.names.last().copied().unwrap_or_default()));
        let made = made.and_then(|made| made.modified());
        // A clock that was set back: it is not known.
        let passed = made.map_or(Duration::ZERO, |made| made.elapsed().unwrap_or_default());
        self.attached_for = Some(passed);
        self.holders = 1;
        Ok(true)
    }

    /// How long those of an earlier process had been attached when they were taken over.
    pub fn attached_for(&self) -> Option<Duration> {
        self.attached_for
    }

    pub fn release(&mut self) {
        self.holders = self.holders.saturating_sub(1);
        if self.holders == 0 {
            self.detach();
        }
    }

    fn detach(&mut self) {
        for link in self.links.drain(..) {
            if let Link::Pinned(link) = link
                && let Err(error) = link.unpin()
            {
                tracing::warn!("cannot detach: {error}");
            }
        }
    }
}
