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
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::limits::COMPONENTS;

/// Files that a worker may have open: its socket, its errors and room; besides, each component that
/// a runner has loaded stays open as long as its code is mapped.
const OPEN_FILES: u64 = 64 + COMPONENTS as u64;
/// How much sooner than others a worker is ended when memory runs out.
const FIRST_TO_GO: &str = "1000";

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
    // A limit that is inherited may be lower, and cannot be raised.
    let set_both = |resource, soft: u64, hard: u64| {
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
        rustix::process::setrlimit(resource, limit)
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
    // The host must outlive what it started. Without permission it is one of several.
    let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
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
    install(work).is_some()
}

fn install(work: Work) -> Option<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let own = u64::from(std::process::id());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // Limits and signals reach other processes of the same user, the host first of all.
    rules.insert(libc::SYS_prlimit64, vec![equals(0, 0)?, equals(0, own)?]);
    rules.insert(libc::SYS_tgkill, vec![equals(0, own)?]);
    match work {
        Work::Compile => {
            // Threads, but no processes. The newer call hides its flags behind a pointer, so it
            // does not exist here, and the C library falls back to the older one.
            let threads = libc::CLONE_THREAD.unsigned_abs().into();
            rules.insert(libc::SYS_clone, vec![masked(0, threads, threads)?]);
            rules.insert(libc::SYS_clone3, Vec::new());
            let absent = SeccompFilter::new(
                BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
                SeccompAction::Allow,
                SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
                arch,
            );
            apply(absent.ok()?)?;
        }
        Work::Run => {
            let writes = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
            rules.insert(libc::SYS_openat, vec![masked(2, writes.unsigned_abs().into(), 0)?]);
            for call in [libc::SYS_ioctl, libc::SYS_memfd_create, libc::SYS_ftruncate] {
                rules.insert(call, Vec::new());
            }
            let commands = [libc::F_GETFD, libc::F_GETFL, libc::F_ADD_SEALS, libc::F_GET_SEALS];
            let commands = commands.map(|command| equals(1, command.unsigned_abs().into()));
            rules.insert(libc::SYS_fcntl, commands.into_iter().collect::<Option<_>>()?);
        }
    }
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).ok()?)
}

fn apply(filter: SeccompFilter) -> Option<()> {
    let program = BpfProgram::try_from(filter).ok()?;
    seccompiler::apply_filter_all_threads(&program).ok()
}

/// The argument has this value.
fn equals(argument: u8, value: u64) -> Option<SeccompRule> {
    condition(argument, SeccompCmpOp::Eq, value)
}

/// The bits of the mask in the argument have this value.
fn masked(argument: u8, mask: u64, value: u64) -> Option<SeccompRule> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value);
    SeccompRule::new(vec![condition.ok()?]).ok()
}

/// Talking on an open socket, memory, signals of its own, waiting, and the end.
const ALLOWED: [libc::c_long; 42] = [
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
    libc::SYS_write,
    libc::SYS_writev,
];
