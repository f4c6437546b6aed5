//! Where the members are that the in-kernel programs of a profile read.

use loupe_common::profile_abi::Offsets;

use crate::tracer::TracerError;
use crate::tracer::btf::Structures;

/// Of the kernel whose type information this is.
pub fn of(structures: &Structures<'_>) -> Result<Offsets, TracerError> {
    let find = |structure, member, name| {
        let found = structures.member(structure, member);
        found.ok_or(TracerError::BtfField(name))
    };
    macro_rules! offset {
        ($structure:ident.$member:ident) => {
            find(
                stringify!($structure),
                stringify!($member),
                concat!(stringify!($structure), ".", stringify!($member)),
            )?
        };
    }
    let upid = structures.size("upid");
    Ok(Offsets {
        task_tgid: offset!(task_struct.tgid),
        task_signal: offset!(task_struct.signal),
        task_mm: offset!(task_struct.mm),
        task_files: offset!(task_struct.files),
        signal_live: offset!(signal_struct.live),
        signal_pids: offset!(signal_struct.pids),
        pid_level: offset!(pid.level),
        pid_numbers: offset!(pid.numbers),
        upid_nr: offset!(upid.nr),
        upid_size: upid.ok_or(TracerError::BtfField("upid"))?,
        mm_exe_file: offset!(mm_struct.exe_file),
        file_inode: offset!(file.f_inode),
        file_dentry: offset!(file.f_path) + offset!(path.dentry),
        inode_number: offset!(inode.i_ino),
        inode_mode: offset!(inode.i_mode),
        inode_superblock: offset!(inode.i_sb),
        superblock_magic: offset!(super_block.s_magic),
        superblock_device: offset!(super_block.s_dev),
        superblock_root: offset!(super_block.s_root),
        superblock_type: offset!(super_block.s_type),
        type_name: offset!(file_system_type.name),
        dentry_parent: offset!(dentry.d_parent),
        dentry_name: offset!(dentry.d_name) + offset!(qstr.name),
        dentry_inode: offset!(dentry.d_inode),
        proc_pid: offset!(proc_inode.pid).cast_signed()
            - offset!(proc_inode.vfs_inode).cast_signed(),
        files_table: offset!(files_struct.fdt),
        table_size: offset!(fdtable.max_fds),
        table_files: offset!(fdtable.fd),
        cgroup_node: offset!(cgroup.kn),
        cgroup_root: offset!(cgroup.root),
        cgroup_self: offset!(cgroup.self),
        state_parent: offset!(cgroup_subsys_state.parent),
        hierarchy_id: offset!(cgroup_root.hierarchy_id),
        node_id: offset!(kernfs_node.id),
        node_name: offset!(kernfs_node.name),
        pad: 0,
    })
}
