//! How deep the traced cgroups lie in the kernel's own tree. Only the kernel can tell: in a cgroup
//! namespace, or where a part of the tree is mounted, the paths that a process sees begin
//! somewhere in the middle. So a process enters a cgroup like those of replays, and a program
//! that sees it there notes the level.

use aya::{Btf, Ebpf};

use super::TracerError;
use super::maps::LevelMap;
use super::programs::btf_program;
use super::refusal::program_error;
use crate::cgroup::{self, ReplayCgroup};

const PROGRAM: (&str, &str) = ("learn_level", "sys_exit");

/// Finds the first place where cgroups can be made, entered and seen, and settles on it.
pub fn learn(ebpf: &mut Ebpf, kernel_btf: &Btf) -> Result<(), TracerError> {
    let (name, tracepoint) = PROGRAM;
    let program = btf_program(ebpf, name)?;
    program
        .load(tracepoint, kernel_btf)
        .map_err(program_error(name))?;
    let link = program.attach().map_err(program_error(name))?;
    let learnt = try_places(ebpf);
    let program = btf_program(ebpf, name)?;
    program.detach(link).map_err(program_error(name))?;
    learnt
}

fn try_places(ebpf: &mut Ebpf) -> Result<(), TracerError> {
    // What the best place lacks is what there is to be told.
    let mut first = None;
    for place in cgroup::candidates()? {
        let result = ReplayCgroup::create_in(&place)
            .map_err(TracerError::from)
            .and_then(|probe| {
                let result = look(ebpf, &probe);
                probe.remove_or_later();
                result
            });
        match result {
            Ok(()) => {
                cgroup::settle(place);
                return Ok(());
            }
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    first.map_or(Ok(()), Err)
}

fn look(ebpf: &mut Ebpf, probe: &ReplayCgroup) -> Result<(), TracerError> {
    let mut level = LevelMap::of(ebpf)?;
    level.ask(probe.target_id()?)?;
    probe.visit_target()?;
    match level.answer()? {
        0 => Err(TracerError::Blind(probe.target())),
        _ => Ok(()),
    }
}
