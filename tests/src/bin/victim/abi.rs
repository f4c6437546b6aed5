//! Calls that are not what their number says: other ABIs, other ways into the kernel, and
//! programs that use the mechanisms that Loupe itself uses.

use crate::calls::{address, address_mut, call, close, exit_now, zeroed};
use crate::trees::{fork, wait_for};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("i386-calls", i386_calls),
    ("i386-available", i386_available),
    ("x32-call", x32_call),
    ("unknown-number", unknown_number),
    ("io-uring", io_uring),
    ("own-filter", own_filter),
    ("traces-child", traces_child),
];

/// A system call of the i386 ABI from 64-bit code.
#[cfg(target_arch = "x86_64")]
fn i386_call(number: u32, arguments: [u32; 3]) -> i32 {
    let result: i32;
    // SAFETY: `int 0x80` reads and writes registers only, except for the memory that the
    // arguments point at, which callers own; rbx, which Rust reserves, is saved and restored.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov ebx, {first:e}",
            "int 0x80",
            "pop rbx",
            first = in(reg) arguments[0],
            inlateout("eax") number as i32 => result,
            in("ecx") arguments[1],
            in("edx") arguments[2],
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn i386_call(_: u32, _: [u32; 3]) -> i32 {
    -libc::ENOSYS
}

const I386_GETPID: u32 = 20;

/// Two i386 calls whose numbers mean other things natively: 20 (`getpid`; natively `writev`)
/// and 39 (`mkdir`; natively `getpid`). Both must really happen, whatever is injected into the
/// native calls of these numbers, which it makes too and does not care about.
fn i386_calls(_: &Arguments) -> Result<Ended, &'static str> {
    let parts: [libc::iovec; 0] = [];
    let _ = call(libc::SYS_writev, &[1, address(&parts), 0]);
    let _ = call(libc::SYS_getppid, &[]);
    if i386_call(I386_GETPID, [0; 3]) <= 0 {
        return Err("the i386 getpid did not work");
    }
    // The path must lie in the first 4 GiB.
    let page = call(
        libc::SYS_mmap,
        &[
            0,
            4096,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT) as usize,
            usize::MAX,
            0,
        ],
    )
    .map_err(|_| "no page in the first 4 GiB")?;
    let path = c"victim-i386";
    // SAFETY: the page is ours, writable, and larger than the path.
    unsafe { std::ptr::copy_nonoverlapping(path.as_ptr(), page as *mut _, 12) };
    let _ = call(libc::SYS_rmdir, &[path.as_ptr() as usize]);
    let low = u32::try_from(page).map_err(|_| "the page is not in the first 4 GiB")?;
    if i386_call(39, [low, 0o755, 0]) != 0 {
        return Err("the i386 mkdir did not work");
    }
    let mut status: libc::stat = zeroed();
    call(
        libc::SYS_stat,
        &[path.as_ptr() as usize, address_mut(&mut status)],
    )
    .map_err(|_| "the i386 mkdir made no directory")?;
    Ok(Ended::Works)
}

/// Whether this kernel has the i386 ABI at all, asked in a child because it may not survive.
fn i386_available(_: &Arguments) -> Result<Ended, &'static str> {
    let child = fork()?;
    if child == 0 {
        exit_now(i32::from(i386_call(I386_GETPID, [0; 3]) <= 0));
    }
    Ok(Ended::Code(wait_for(child)))
}

/// `getppid` by its x32 number: kernels without that ABI say ENOSYS, whatever else is said
/// about the native `getppid`.
fn x32_call(_: &Arguments) -> Result<Ended, &'static str> {
    const X32: libc::c_long = 0x4000_0000;
    match call(X32 | libc::SYS_getppid, &[]) {
        Err(libc::ENOSYS) => Ok(Ended::Works),
        Ok(parent) if parent > 0 => Ok(Ended::Works),
        _ => Err("the x32 getppid was mistaken for something else"),
    }
}

/// A number that no kernel has.
fn unknown_number(_: &Arguments) -> Result<Ended, &'static str> {
    match call(0x7fff, &[]) {
        Err(libc::ENOSYS) => Ok(Ended::Works),
        _ => Err("there is a syscall 32767"),
    }
}

/// Uses io_uring if there is one; a ring that is none is an error.
fn io_uring(_: &Arguments) -> Result<Ended, &'static str> {
    let mut parameters = [0u32; 30];
    match call(libc::SYS_io_uring_setup, &[4, address_mut(&mut parameters)]) {
        Err(_) => Ok(Ended::Works),
        Ok(ring) if ring > 2 && parameters[0] == 4 => {
            close(ring);
            Ok(Ended::Works)
        }
        Ok(_) => Err("the ring is none"),
    }
}

/// Installs a filter of its own that denies `personality`, and needs it to hold.
fn own_filter(_: &Arguments) -> Result<Ended, &'static str> {
    let number = libc::SYS_personality as u32;
    let code = |class: u32, operand: u32| (class | operand) as u16;
    let statement = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let deny = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let program = [
        statement(code(libc::BPF_LD, libc::BPF_W | libc::BPF_ABS), 0),
        libc::sock_filter {
            code: code(libc::BPF_JMP, libc::BPF_JEQ | libc::BPF_K),
            jt: 0,
            jf: 1,
            k: number,
        },
        statement(code(libc::BPF_RET, libc::BPF_K), deny),
        statement(code(libc::BPF_RET, libc::BPF_K), libc::SECCOMP_RET_ALLOW),
    ];
    let header = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as usize, 1])
        .map_err(|_| "cannot give up new privileges")?;
    call(
        libc::SYS_seccomp,
        &[libc::SECCOMP_SET_MODE_FILTER as usize, 0, address(&header)],
    )
    .map_err(|_| "cannot install a filter")?;
    match call(libc::SYS_personality, &[0xffff_ffff]) {
        Err(libc::EPERM) => Ok(Ended::Works),
        _ => Err("the filter does not hold"),
    }
}

/// Is itself a tracer, as debuggers and sandboxes are: nobody else may hold its child.
fn traces_child(_: &Arguments) -> Result<Ended, &'static str> {
    let magic = std::hint::black_box(0x5ea1_ed00_0bad_f00d_u64);
    let child = fork()?;
    if child == 0 {
        let traced = call(libc::SYS_ptrace, &[libc::PTRACE_TRACEME as usize]);
        if traced.is_err() {
            exit_now(1);
        }
        let own = call(libc::SYS_getpid, &[]).unwrap_or(0);
        let _ = call(libc::SYS_kill, &[own, libc::SIGSTOP as usize]);
        exit_now(7);
    }
    let mut status = 0i32;
    // Without ptrace the child would stop unseen, and this would wait for ever: ask for stops.
    let wait = |status: &mut i32| {
        let options = libc::WUNTRACED as usize;
        call(libc::SYS_wait4, &[child, address_mut(status), options, 0])
    };
    if wait(&mut status) != Ok(child) || !libc::WIFSTOPPED(status) {
        return Err("the child could not be traced");
    }
    // A fork has the same addresses, so what is at `magic` there is known here.
    let mut seen = 0u64;
    let peek = libc::PTRACE_PEEKDATA as usize;
    let _ = call(
        libc::SYS_ptrace,
        &[peek, child, address(&magic), address_mut(&mut seen)],
    );
    let detach = libc::PTRACE_DETACH as usize;
    if seen != magic || call(libc::SYS_ptrace, &[detach, child, 0, 0]).is_err() {
        let _ = call(libc::SYS_kill, &[child, libc::SIGKILL as usize]);
        return Err("the stopped child was not traced");
    }
    if wait(&mut status) != Ok(child) || libc::WEXITSTATUS(status) != 7 {
        return Err("the child did not go on");
    }
    Ok(Ended::Works)
}
