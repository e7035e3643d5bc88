//! How a worker locks itself in. Each wall stands by itself, so that the others hold where a
//! kernel lacks one; which of them stand is reported to the host.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::UnshareFlags;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// Files that a worker may have open: its socket, its errors, a file of code, and room.
const OPEN_FILES: u64 = 64;

/// Limits that the kernel keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rlimits {
    /// Processor time in seconds, over the whole life.
    pub(crate) cpu_seconds: u64,
    /// Address space in bytes; `None` where sandboxes reserve far more than they use.
    pub(crate) address_space: Option<u64>,
    /// Private writable memory in bytes.
    pub(crate) data: u64,
}

/// Sets the limits, and forbids core dumps, other processes' looks and new privileges.
pub(crate) fn limit(limits: Rlimits) -> io::Result<()> {
    let set_both = |resource, soft, hard| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    let set = |resource, most| set_both(resource, most, most);
    set(Resource::Core, 0)?;
    set(Resource::Nofile, OPEN_FILES)?;
    // The first limit ends it by a signal that says why, the second by one that cannot be caught.
    set_both(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(1))?;
    set(Resource::Data, limits.data)?;
    if let Some(most) = limits.address_space {
        set(Resource::As, most)?;
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// Takes namespaces of its own, if the system lets it. Only while there is one thread.
#[expect(unsafe_code, reason = "the system call is marked unsafe for programs with threads")]
pub(crate) fn leave_namespaces() -> bool {
    let flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNS;
    // SAFETY: what is unsafe about it is a file table that is not shared any more while another
    // thread uses it; this process has one thread, and the flag for the table is not given.
    unsafe { rustix::thread::unshare_unsafe(flags) }.is_ok()
}

/// Makes `dir` the root directory, if the system lets it.
pub(crate) fn enter(dir: &Path) -> bool {
    rustix::process::chroot(dir).is_ok() && std::env::set_current_dir("/").is_ok()
}

/// Lets files below `readable` be read, and forbids everything else that Landlock knows: other
/// files, the network, and signals to others. Threads that exist already are not covered.
pub(crate) fn landlock(readable: Option<&Path>) -> bool {
    // The newest rules; those that the kernel lacks are left out by the library.
    const RULES: ABI = ABI::V6;
    let restrict = || {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(RULES))?
            .handle_access(AccessNet::from_all(RULES))?
            .scope(Scope::from_all(RULES))?
            .create()?;
        if let Some(path) = readable {
            let below = PathBeneath::new(PathFd::new(path)?, AccessFs::ReadFile);
            rules = rules.add_rule(below)?;
        }
        Ok::<_, Box<dyn std::error::Error>>(rules.restrict_self()?.ruleset)
    };
    restrict().is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

/// Tries what no runner should be able to do. A wall that was put up and does not hold is no wall.
pub(crate) fn try_to_break_out() -> (bool, bool, bool) {
    let files = ["/etc/passwd", "/proc/self/environ", "/proc/self/status"];
    let no_files = files.iter().all(|path| std::fs::File::open(path).is_err());
    let no_network = std::net::TcpListener::bind(("127.0.0.1", 0)).is_err()
        && std::os::unix::net::UnixDatagram::unbound().is_err();
    let no_programs = std::process::Command::new("/bin/true").spawn().is_err();
    (no_files, no_network, no_programs)
}

/// What a worker does in its life; decides which system calls it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Compiling: threads of its own, no files.
    Compile,
    /// Running guests: files of code, no new threads.
    Run,
}

/// Lets every thread of this process make the listed system calls and no others. A call that is
/// not listed fails as not permitted, rather than ending the process: a library that asks for
/// something in vain goes on, an intruder gets nothing either way.
pub(crate) fn seccomp(work: Work) -> bool {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return false };
    let extra: &[libc::c_long] = match work {
        Work::Compile => &[libc::SYS_clone, libc::SYS_clone3],
        Work::Run => &[
            libc::SYS_openat,
            libc::SYS_ioctl,
            libc::SYS_memfd_create,
            libc::SYS_ftruncate,
            libc::SYS_fcntl,
        ],
    };
    let allowed = ALLOWED.iter().chain(extra).map(|call| (*call, Vec::new()));
    let filter = SeccompFilter::new(
        allowed.collect::<BTreeMap<_, _>>(),
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        arch,
    );
    let program = filter.and_then(|filter| BpfProgram::try_from(filter));
    program.is_ok_and(|program| seccompiler::apply_filter_all_threads(&program).is_ok())
}

/// Talking on an open socket, memory, signals of its own, waiting, and the end.
const ALLOWED: [libc::c_long; 44] = [
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
];
