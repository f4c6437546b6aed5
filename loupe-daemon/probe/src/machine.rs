//! The kernel's and the machine's interface: syscalls, words of memory, two ways out of a function.
//! All `unsafe` of the probe stands here, in `start.rs` and in `handlers.rs`. Knows no cases.
//!
//! What cases do is wrong use by design at times, of memory too. So each runs in a process of its own,
//! which is thrown away: what holds is that nothing of a case is read afterwards but what it reported.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

/// Makes a syscall. Returns what the kernel returns: an errno as a negative number.
pub fn syscall(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the instruction itself touches no memory but what the arguments name; the cases name
    // buffers of their own, and addresses that are meant to be refused.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b,
             in("rdx") c, in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// A byte of memory that was mapped.
pub fn peek(address: usize) -> u8 {
    // SAFETY: cases pass addresses that the OS says it has mapped; if it has not, the process of the
    // case crashes, which is the result.
    unsafe { (address as *const u8).read_volatile() }
}

/// Writes a byte of memory that was mapped.
pub fn poke(address: usize, byte: u8) {
    // SAFETY: as `peek`; what is written to is no object of Rust's.
    unsafe { (address as *mut u8).write_volatile(byte) }
}

/// A word of memory that was mapped.
pub fn peek_word(address: usize) -> usize {
    // SAFETY: as `peek`; the word need not be aligned.
    unsafe { (address as *const usize).read_unaligned() }
}

/// Writes a word of memory that was mapped.
pub fn poke_word(address: usize, word: usize) {
    // SAFETY: as `poke`.
    unsafe { (address as *mut usize).write_unaligned(word) }
}

/// Runs code that was put into mapped memory, and returns what it returns.
pub fn run_code(address: usize) -> usize {
    // SAFETY: cases put a function there that takes nothing and returns a number.
    let function: extern "C" fn() -> usize = unsafe { core::mem::transmute(address) };
    function()
}

/// The processor's counter.
pub fn ticks() -> u64 {
    // SAFETY: the instruction reads a counter, and every x86-64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A word at the beginning of the segment that the register fs points to.
pub fn word_at_fs() -> usize {
    let word;
    // SAFETY: cases set the register to memory of their own before.
    unsafe { asm!("mov {}, fs:[0]", out(reg) word) };
    word
}

/// The same of gs.
pub fn word_at_gs() -> usize {
    let word;
    // SAFETY: as above.
    unsafe { asm!("mov {}, gs:[0]", out(reg) word) };
    word
}

/// Ends the process by an instruction that does not exist.
pub fn die() -> ! {
    // SAFETY: it does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

global_asm!(
    // (function, argument, where the stack pointer is kept): calls it. 0 when it returned, 1 when
    // `loupe_probe_leave` was called inside.
    ".globl loupe_probe_enter",
    "loupe_probe_enter:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov [rdx], rsp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "xor eax, eax",
    "jmp 2f",
    ".globl loupe_probe_leave",
    "loupe_probe_leave:",
    "mov rsp, rdi",
    "mov eax, 1",
    "2:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    // (syscall, its first and second argument, number of a syscall that tells who one is, who one
    // is): a fork whose child ends at once with 42, as one of a vfork has to.
    ".globl loupe_probe_vfork",
    "loupe_probe_vfork:",
    "push rbx",
    "push r12",
    "push r13",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov r12, rcx",
    "mov r13, r8",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "test rax, rax",
    "jnz 3f",
    "mov rax, r12",
    "xor edi, edi",
    "syscall",
    "cmp rax, r13",
    "mov eax, 0",
    "je 3f",
    "mov edi, 42",
    "mov eax, 231",
    "syscall",
    "mov edi, 42",
    "mov eax, 60",
    "syscall",
    "ud2",
    "3:",
    "pop r13",
    "pop r12",
    "pop rbx",
    "ret",
    // (syscall, first and second argument, top of a stack, function, its argument): a clone whose
    // child runs the function on that stack and ends its thread.
    ".globl loupe_probe_clone",
    "loupe_probe_clone:",
    "push rbx",
    "push r12",
    "push r13",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov r12, r8",
    "mov r13, r9",
    "mov rbx, rcx",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "test rax, rax",
    "jnz 4f",
    // A call that was only faked has not changed the stack.
    "cmp rsp, rbx",
    "jne 4f",
    "xor ebp, ebp",
    "mov rdi, r13",
    "call r12",
    "xor edi, edi",
    "mov eax, 60",
    "syscall",
    "ud2",
    "4:",
    "pop r13",
    "pop r12",
    "pop rbx",
    "ret",
    // Where a handler of a signal returns to.
    ".globl loupe_probe_restorer",
    "loupe_probe_restorer:",
    "mov eax, 15",
    "syscall",
    "mov rdi, rax",
    "and rsp, -16",
    "call loupe_probe_not_restored",
    "ud2",
);

unsafe extern "C" {
    fn loupe_probe_enter(
        function: extern "C" fn(usize),
        argument: usize,
        kept: *mut usize,
    ) -> usize;
    fn loupe_probe_leave(kept: usize) -> !;
    fn loupe_probe_vfork(nr: usize, a: usize, b: usize, who: usize, me: usize) -> isize;
    fn loupe_probe_clone(
        nr: usize,
        a: usize,
        b: usize,
        top: usize,
        function: extern "C" fn(usize),
        argument: usize,
    ) -> isize;
    fn loupe_probe_restorer();
}

/// Calls a function; `false`: it was left by [`leave`].
pub fn enter(function: extern "C" fn(usize), argument: usize, kept: &AtomicUsize) -> bool {
    // SAFETY: the assembly keeps what a called function has to keep; `kept` outlives the call.
    unsafe { loupe_probe_enter(function, argument, kept.as_ptr()) == 0 }
}

/// Leaves the function that [`enter`] called, from below it.
pub fn leave(kept: usize) -> ! {
    // SAFETY: `kept` is what `enter` stored, and its frame is still there: the caller runs below it.
    // What lies between has nothing to drop.
    unsafe { loupe_probe_leave(kept) }
}

/// A fork by this syscall, whose child ends at once with 42.
pub fn fork_and_end(nr: usize, a: usize, b: usize, who: usize, me: usize) -> isize {
    // SAFETY: the child writes nothing to the memory that it shares.
    unsafe { loupe_probe_vfork(nr, a, b, who, me) }
}

/// A clone by this syscall, whose child runs a function on a stack of its own.
pub fn clone_running(
    nr: usize,
    [a, b]: [usize; 2],
    top: usize,
    function: extern "C" fn(usize),
    argument: usize,
) -> isize {
    // SAFETY: the caller passes the top of memory that nobody else uses as a stack; the function
    // shares only atomic words with its parent.
    unsafe { loupe_probe_clone(nr, a, b, top, function, argument) }
}

/// Where a handler of a signal has to return to.
pub fn restorer() -> usize {
    loupe_probe_restorer as *const () as usize
}

/// The bytes of words that the kernel is to fill.
pub fn bytes_of<const N: usize>(words: &mut [u32; N]) -> &mut [u8] {
    let (start, length) = (words.as_mut_ptr().cast::<u8>(), N * 4);
    // SAFETY: the words are that many bytes, borrowed as long as these; any byte is part of a word.
    unsafe { core::slice::from_raw_parts_mut(start, length) }
}
