//! Executes filters in tests: the few instructions that the compiler emits; anything else is a
//! failure.

use libc::sock_filter;

/// A call as `struct seccomp_data` holds it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub arch: u32,
    pub number: u32,
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                (argument >> (8 * (offset % 8))) as u32
            }
            other => panic!("reads offset {other}"),
        }
    }
}

/// What a filter did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    pub answer: u32,
    /// Instructions executed.
    pub steps: usize,
    /// Whether it looked at anything but number and architecture, which keeps the kernel from
    /// remembering the answer.
    pub read_arguments: bool,
}

pub fn interpret(program: &[sock_filter], call: &Call) -> Course {
    let (mut accumulator, mut pc, mut steps) = (0, 0, 0);
    let mut read_arguments = false;
    loop {
        let insn = program[pc];
        steps += 1;
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { insn.jt } else { insn.jf });
        match u32::from(insn.code) {
            code if code == (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) => {
                read_arguments |= insn.k >= 16;
                accumulator = call.word(insn.k);
            }
            code if code == (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) => accumulator &= insn.k,
            code if code == (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) => {
                pc += branch(accumulator == insn.k);
            }
            code if code == (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) => {
                pc += branch(accumulator >= insn.k);
            }
            code if code == (libc::BPF_JMP | libc::BPF_JA) => pc += insn.k as usize,
            code if code == (libc::BPF_RET | libc::BPF_K) => {
                return Course {
                    answer: insn.k,
                    steps,
                    read_arguments,
                };
            }
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}
