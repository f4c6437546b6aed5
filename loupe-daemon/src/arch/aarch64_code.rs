//! Machine code for aarch64. Also compiled on other machines, for its tests.
//!
//! Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), C6.2.

/// Eight-byte words of [`call`].
pub const WORDS: usize = 4;
/// Where the `brk` stands that stops the program: bytes from the start.
pub const TRAP_OFFSET: u64 = 24;

/// `svc #0`.
const SVC: u32 = 0xd400_0001;
/// `brk #0`.
const BRK: u32 = 0xd420_0000;
/// `movz x0, #0`, `movk x0, #0` of the higher half-words, and `movz x8, #0`: the number is added
/// from bit 5 on.
const MOVE_X0: [u32; 4] = [0xd280_0000, 0xf2a0_0000, 0xf2c0_0000, 0xf2e0_0000];
const MOVE_X8: u32 = 0xd280_0008;

/// Sets `x0` to the first argument and `x8` to the number, executes the syscall, and stops.
///
/// Both are in the code, because the end of the execve that the program is still in overwrites
/// `x0`; the other arguments are in their registers.
pub fn call(number: u16, first: u64) -> [i64; WORDS] {
    let half = |index: usize| ((first >> (16 * index)) & 0xffff) as u32;
    let moved = |index: usize| MOVE_X0[index] | half(index) << 5;
    let number = MOVE_X8 | u32::from(number) << 5;
    let pair = |low: u32, high: u32| i64::from(low) | i64::from(high) << 32;
    [
        pair(moved(0), moved(1)),
        pair(moved(2), moved(3)),
        pair(number, SVC),
        // The second is never reached.
        pair(BRK, BRK),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_what_an_assembler_makes() {
        let code = call(277, 0xdef0_9abc_5678_1234);
        let instructions: Vec<u32> = code
            .iter()
            .flat_map(|word| [*word as u32, (*word >> 32) as u32])
            .collect();
        // rustc's assembler, of: movz x0, #0x1234; movk x0, #0x5678, lsl #16;
        // movk x0, #0x9abc, lsl #32; movk x0, #0xdef0, lsl #48; movz x8, #277; svc #0; brk #0
        let assembled = [
            0xd282_4680,
            0xf2aa_cf00,
            0xf2d3_5780,
            0xf2fb_de00,
            0xd280_22a8,
            0xd400_0001,
            0xd420_0000,
        ];
        assert_eq!(instructions[..7], assembled);
        assert_eq!(instructions[TRAP_OFFSET as usize / 4], BRK);
    }
}
