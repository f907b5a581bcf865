//! Seccomp: system calls that no job has business with fail with `EPERM`.
//!
//! A deny list, since jobs are any program of any language; it holds what reaches other processes, the kernel, the
//! machine's clock and name, or goes round the other walls (`io_uring` does input and output without system calls).
//! Calls of another architecture kill the program.
//! Read next: [`crate::job::supervise`].

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// Each with its arguments left out: whatever they are, the answer is no.
const DENIED: [libc::c_long; 50] = [
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    libc::SYS_process_madvise,
    // The tree of files.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_fanotify_init,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    // Keys of the user.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Ways round the other walls.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_personality,
];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Calls of the x32 ABI have this bit; where the kernel knows it, they would pass by their other numbers.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

pub(super) fn deny_calls() -> Result<(), seccompiler::Error> {
    let mut rules = BTreeMap::new();
    for call in DENIED {
        deny(&mut rules, call, Vec::new());
    }
    let flags = NAMESPACES.map(|flag| flag_is_set(0, flag.unsigned_abs().into()));
    deny(&mut rules, libc::SYS_clone, flags.into_iter().collect::<Result<_, _>>()?);
    apply(rules, libc::EPERM)?;
    // Its flags lie in memory that a filter cannot read. Without the call, libraries fall back to `clone`.
    let mut rules = BTreeMap::new();
    deny(&mut rules, libc::SYS_clone3, Vec::new());
    apply(rules, libc::ENOSYS)
}

/// Pairs stay: a pair reaches nobody else. Unix sockets go too: they reach the server's own doors.
pub(super) fn deny_sockets() -> Result<(), seccompiler::Error> {
    let mut rules = BTreeMap::new();
    for call in [libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen] {
        deny(&mut rules, call, Vec::new());
    }
    apply(rules, libc::EPERM)
}

fn deny(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, call: libc::c_long, only: Vec<SeccompRule>) {
    #[cfg(target_arch = "x86_64")]
    rules.insert(call | X32, only.clone());
    rules.insert(call, only);
}

fn flag_is_set(arg: u8, flag: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let set = SeccompCmpOp::MaskedEq(flag);
    SeccompRule::new(vec![SeccompCondition::new(arg, SeccompCmpArgLen::Qword, set, flag)?])
}

fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> Result<(), seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()?;
    seccompiler::apply_filter(&program)
}
