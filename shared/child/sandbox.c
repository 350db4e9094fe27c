#include "shared/child/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/must.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(TBMQ_COVERAGE)
#define WATCHED 1 /* by a runtime that reads and writes files of its own, above all at the end */
#else
#define WATCHED 0
#endif

/* Younger than the headers may be. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (UINT64_C(1) << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15)
#endif

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                         \
	    LANDLOCK_ACCESS_FS_MAKE_REG)
#define NEVER                                                                                      \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                               \
	    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                          \
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

#define CALLS 512 /* numbers that may have a name; those of today end below 470 */

/* Which uses of a call are allowed. */
enum use {
	ALL,
	OURSELVES, /* first argument: this process */
	DATA,      /* third: memory that can't be executed */
	CONTROL,   /* second: one of fcntls */
	TERMINAL,  /* second: the question whether it is one */
	WAITING,   /* second: how much there is to be read */
	READING,   /* third: a file is to be opened for that only */
	HANDLERS,  /* first: any signal but ours */
	NAMES,     /* first: names for memory, which allocators give */
	LOOKING,   /* first: this process, third: nothing to be set */
	THREADS,   /* first: a thread of this process */
	MISSING    /* none: ENOSYS, for which the library has another way */
};

struct call {
	int nr;
	enum use use;
};

static const struct call every_child[] = {
	{ SCMP_SYS(epoll_wait), ALL },
	{ SCMP_SYS(epoll_pwait), ALL },
	{ SCMP_SYS(read), ALL },
	{ SCMP_SYS(write), ALL },
	{ SCMP_SYS(sendmsg), ALL },
	{ SCMP_SYS(recvmsg), ALL },
	{ SCMP_SYS(writev), ALL },
	{ SCMP_SYS(epoll_ctl), ALL },
	{ SCMP_SYS(close), ALL },
	{ SCMP_SYS(futex), ALL },
	{ SCMP_SYS(clock_gettime), ALL },
	{ SCMP_SYS(gettimeofday), ALL },
	{ SCMP_SYS(madvise), ALL },
	{ SCMP_SYS(munmap), ALL },
	{ SCMP_SYS(mremap), ALL },
	{ SCMP_SYS(brk), ALL },
	{ SCMP_SYS(poll), ALL },
	{ SCMP_SYS(ppoll), ALL },
	{ SCMP_SYS(sendto), ALL },
	{ SCMP_SYS(recvfrom), ALL },
	{ SCMP_SYS(readv), ALL },
	{ SCMP_SYS(fstat), ALL },
	{ SCMP_SYS(newfstatat), ALL }, /* fstat() of some libraries */
	{ SCMP_SYS(statx), ALL },
	{ SCMP_SYS(lseek), ALL },
	{ SCMP_SYS(pread64), ALL },
	{ SCMP_SYS(dup), ALL },
	{ SCMP_SYS(dup2), ALL },
	{ SCMP_SYS(dup3), ALL },
	{ SCMP_SYS(getsockopt), ALL },
	{ SCMP_SYS(shutdown), ALL },
	{ SCMP_SYS(getrandom), ALL },
	{ SCMP_SYS(getpid), ALL },
	{ SCMP_SYS(gettid), ALL },
	{ SCMP_SYS(getrusage), ALL },
	{ SCMP_SYS(sysinfo), ALL },
	{ SCMP_SYS(sched_yield), ALL },
	{ SCMP_SYS(sched_getaffinity), ALL },
	{ SCMP_SYS(getcpu), ALL },
	{ SCMP_SYS(nanosleep), ALL },
	{ SCMP_SYS(clock_nanosleep), ALL },
	{ SCMP_SYS(restart_syscall), ALL },
	{ SCMP_SYS(pause), ALL },
	{ SCMP_SYS(rt_sigprocmask), ALL },
	{ SCMP_SYS(rt_sigreturn), ALL },
	{ SCMP_SYS(sigaltstack), ALL },
	{ SCMP_SYS(exit), ALL },
	{ SCMP_SYS(exit_group), ALL },
	{ SCMP_SYS(mmap), DATA },
	{ SCMP_SYS(mprotect), DATA },
	{ SCMP_SYS(fcntl), CONTROL },
	{ SCMP_SYS(ioctl), TERMINAL },
	{ SCMP_SYS(rt_sigaction), HANDLERS },
	{ SCMP_SYS(kill), OURSELVES },
	{ SCMP_SYS(tgkill), OURSELVES },
	{ SCMP_SYS(prlimit64), LOOKING },
	{ SCMP_SYS(prctl), NAMES },
	{ -1, ALL },
};

static const struct call talks_to_clients[] = {
	{ SCMP_SYS(accept4), ALL },
	{ SCMP_SYS(setsockopt), ALL },
	{ SCMP_SYS(getsockname), ALL },
	{ SCMP_SYS(getpeername), ALL },
	{ -1, ALL },
};

static const struct call keeps_files[] = {
	{ SCMP_SYS(pwrite64), ALL },
	{ SCMP_SYS(pwritev), ALL },
	{ SCMP_SYS(fdatasync), ALL },
	{ SCMP_SYS(fsync), ALL },
	{ SCMP_SYS(timerfd_settime), ALL },
	{ SCMP_SYS(openat), ALL },
	{ SCMP_SYS(open), ALL },
	{ SCMP_SYS(stat), ALL },
	{ SCMP_SYS(lstat), ALL },
	{ SCMP_SYS(statfs), ALL },
	{ SCMP_SYS(fstatfs), ALL },
	{ SCMP_SYS(access), ALL },
	{ SCMP_SYS(faccessat), ALL },
	{ SCMP_SYS(faccessat2), ALL },
	{ SCMP_SYS(getdents64), ALL },
	{ SCMP_SYS(readlink), ALL },
	{ SCMP_SYS(readlinkat), ALL },
	{ SCMP_SYS(getcwd), ALL },
	{ SCMP_SYS(unlink), ALL },
	{ SCMP_SYS(unlinkat), ALL },
	{ SCMP_SYS(rename), ALL },
	{ SCMP_SYS(renameat), ALL },
	{ SCMP_SYS(renameat2), ALL },
	{ SCMP_SYS(mkdir), ALL },
	{ SCMP_SYS(mkdirat), ALL },
	{ SCMP_SYS(rmdir), ALL },
	{ SCMP_SYS(ftruncate), ALL },
	{ SCMP_SYS(fallocate), ALL },
	{ SCMP_SYS(sync_file_range), ALL },
	{ SCMP_SYS(fadvise64), ALL },
	{ SCMP_SYS(sendfile), ALL },
	{ SCMP_SYS(copy_file_range), ALL },
	{ SCMP_SYS(flock), ALL },
	{ SCMP_SYS(select), ALL }, /* how Berkeley DB pauses */
	{ SCMP_SYS(pselect6), ALL },
	{ -1, ALL },
};

/* HTTP, and the names of its servers, which threads of the C library look up in files and by DNS. */
static const struct call asks_servers[] = {
	{ SCMP_SYS(socket), ALL },
	{ SCMP_SYS(socketpair), ALL },
	{ SCMP_SYS(connect), ALL },
	{ SCMP_SYS(bind), ALL },
	{ SCMP_SYS(setsockopt), ALL },
	{ SCMP_SYS(getsockname), ALL },
	{ SCMP_SYS(getpeername), ALL },
	{ SCMP_SYS(sendmmsg), ALL },
	{ SCMP_SYS(pipe2), ALL },
	{ SCMP_SYS(eventfd2), ALL },
	{ SCMP_SYS(uname), ALL },
	{ SCMP_SYS(getuid), ALL },
	{ SCMP_SYS(geteuid), ALL },
	{ SCMP_SYS(getgid), ALL },
	{ SCMP_SYS(getegid), ALL },
	{ SCMP_SYS(access), ALL },
	{ SCMP_SYS(stat), ALL },
	{ SCMP_SYS(openat), READING },
	{ SCMP_SYS(ioctl), WAITING },
	{ -1, ALL },
};

static const struct call makes_threads[] = {
	{ SCMP_SYS(clone), THREADS },
	{ SCMP_SYS(clone3), MISSING }, /* its flags are in memory, where a filter can't look */
	{ SCMP_SYS(set_robust_list), ALL },
	{ SCMP_SYS(rseq), ALL },
	{ -1, ALL },
};

static const struct call leaves_others_the_processor[] = {
	{ SCMP_SYS(setpriority), ALL }, /* which only lowers it, without rights */
	{ -1, ALL },
};

#if WATCHED
/* Reports read the process's own files and maps; leaks are looked for by a process that traces us; counts of coverage are merged into files. */
static const struct call watched[] = {
	{ SCMP_SYS(openat), ALL },
	{ SCMP_SYS(open), ALL },
	{ SCMP_SYS(stat), ALL },
	{ SCMP_SYS(readlink), ALL },
	{ SCMP_SYS(getdents), ALL },
	{ SCMP_SYS(getdents64), ALL },
	{ SCMP_SYS(mkdir), ALL },
	{ SCMP_SYS(clone), ALL },
	{ SCMP_SYS(fork), ALL },
	{ SCMP_SYS(wait4), ALL },
	{ SCMP_SYS(ptrace), ALL },
	{ SCMP_SYS(prctl), ALL },
	{ SCMP_SYS(prlimit64), ALL },
	{ SCMP_SYS(getppid), ALL },
	{ SCMP_SYS(getuid), ALL },
	{ SCMP_SYS(pipe), ALL },
	{ SCMP_SYS(pipe2), ALL },
	{ SCMP_SYS(fcntl), ALL },
	{ SCMP_SYS(ftruncate), ALL },
	{ SCMP_SYS(set_robust_list), ALL },
	{ SCMP_SYS(rseq), ALL },
	{ -1, ALL },
};
#define IF_WATCHED watched
#else
#define IF_WATCHED NULL
#endif

static const struct call *const lists[PROC_KINDS][5] = {
	[PROC_MQTT] = { every_child, talks_to_clients, IF_WATCHED },
	[PROC_AUTH] = { every_child, makes_threads, leaves_others_the_processor, asks_servers,
	    IF_WATCHED },
	[PROC_PERSIST] = { every_child, keeps_files, makes_threads, IF_WATCHED },
};

static const int fcntls[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC,
	F_GET_SEALS, F_SETLK, F_SETLKW, F_GETLK };

static struct {
	char *text; /* names of all calls, each with its NUL */
	uint16_t at[CALLS];
} names;

static int add(scmp_filter_ctx filter, const struct call *c);
static int open_beneath(int rules, const char *dir, uint64_t rights);
static void name_calls(void);
static void on_forbidden(int sig, siginfo_t *info, void *context);

int
sandbox_files(const char *const *dir, size_t n)
{
	/* For each version of it the rights that it has brought. */
	static const uint64_t since[] = { READS | WRITES | NEVER, LANDLOCK_ACCESS_FS_REFER,
		LANDLOCK_ACCESS_FS_TRUNCATE, 0, LANDLOCK_ACCESS_FS_IOCTL_DEV };
	struct landlock_ruleset_attr attr = { 0 };
	long version =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int rules, err = 0;

	if (version < 1) {
		log_notice("sandbox: this kernel has no Landlock (%m): what files this process "
			   "opens is bounded by their permissions only");
		return 0;
	}
	for (long i = 0; i < version && i < (long)(sizeof(since) / sizeof(since[0])); i++)
		attr.handled_access_fs |= since[i];
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		err = -errno;
	for (size_t i = 0; i < n && err == 0; i++)
		if (dir[i][0] != '\0')
			err = open_beneath(rules, dir[i],
			    attr.handled_access_fs & ~(NEVER | LANDLOCK_ACCESS_FS_IOCTL_DEV));
	if (WATCHED && err == 0)
		err = open_beneath(rules, "/", attr.handled_access_fs);
	if (err == 0 && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
		err = -errno;
	if (rules >= 0)
		close(rules);
	if (err != 0)
		log_err("sandbox: cannot bound what files this process opens: %s; sandbox = false "
			"goes without",
		    strerror(-err));
	return err;
}

int
sandbox_calls(enum proc_kind kind)
{
	struct sigaction forbidden = { .sa_sigaction = on_forbidden,
		.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int err = filter == NULL ? -ENOMEM : 0;

	/* Libraries open files for these when they are first asked. */
	tzset();
	json_object_seed(0);
	name_calls();
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree, or the calls with conditions would be behind all others. */
	if (err == 0)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < sizeof(lists[0]) / sizeof(lists[0][0]); i++)
		for (const struct call *c = lists[kind][i]; c != NULL && c->nr != -1 && err == 0;
		     c++)
			err = add(filter, c);
	if (err == 0 && sigaction(SIGSYS, &forbidden, NULL) != 0)
		err = -errno;
	if (err == 0)
		err = seccomp_load(filter);
	seccomp_release(filter);
	if (err != 0)
		log_err(
		    "sandbox: the kernel takes no filter of system calls (CONFIG_SECCOMP_FILTER): "
		    "%s; sandbox = false goes without",
		    strerror(-err));
	return err;
}

static int
add(scmp_filter_ctx filter, const struct call *c)
{
	const uint32_t allow = SCMP_ACT_ALLOW;
	int err = 0;

	switch (c->use) {
	case ALL:
		return seccomp_rule_add(filter, allow, c->nr, 0);
	case OURSELVES:
		return seccomp_rule_add(
		    filter, allow, c->nr, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	case DATA:
		return seccomp_rule_add(
		    filter, allow, c->nr, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case CONTROL:
		for (size_t i = 0; i < sizeof(fcntls) / sizeof(fcntls[0]) && err == 0; i++)
			err = seccomp_rule_add(
			    filter, allow, c->nr, 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntls[i]));
		return err;
	case TERMINAL:
		return seccomp_rule_add(filter, allow, c->nr, 1, SCMP_A1(SCMP_CMP_EQ, TCGETS));
	case WAITING:
		return seccomp_rule_add(filter, allow, c->nr, 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	case READING:
		return seccomp_rule_add(filter, allow, c->nr, 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	case HANDLERS:
		return seccomp_rule_add(filter, allow, c->nr, 1, SCMP_A0(SCMP_CMP_NE, SIGSYS));
	case NAMES:
		return seccomp_rule_add(filter, allow, c->nr, 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA));
	case LOOKING:
		return seccomp_rule_add(
		    filter, allow, c->nr, 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	case THREADS:
		return seccomp_rule_add(filter, allow, c->nr, 1,
		    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	case MISSING:
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), c->nr, 0);
	}
	return -EINVAL;
}

static int
open_beneath(int rules, const char *dir, uint64_t rights)
{
	struct landlock_path_beneath_attr at = { .allowed_access = rights,
		.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	int err = 0;

	if (at.parent_fd < 0) {
		log_warning("sandbox: cannot open %s: %m; nothing beneath it can be used until the "
			    "next start",
		    dir);
		return 0;
	}
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0) != 0)
		err = -errno;
	close(at.parent_fd);
	return err;
}

/* Now, since a call may be forbidden in the middle of malloc(). */
static void
name_calls(void)
{
	size_t len;
	FILE *f;

	if (names.text != NULL || (f = open_memstream(&names.text, &len)) == NULL)
		return;
	fputc('\0', f);
	for (int i = 0; i < CALLS; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
		long at = ftell(f);

		if (name != NULL && at < UINT16_MAX) {
			names.at[i] = (uint16_t)at;
			fprintf(f, "%s%c", name, 0);
		}
		free(name);
	}
	fclose(f);
}

/* Back in the kernel it kills, as the handler is gone. */
static void
on_forbidden(int sig, siginfo_t *info, void *context)
{
	unsigned nr = (unsigned)info->si_syscall;
	const char *name = names.text != NULL && nr < CALLS ? names.text + names.at[nr] : "";
	char text[MUST_TEXT_MAX];

	(void)context;
	snprintf(text, sizeof(text), "sandbox: forbidden system call %u %s", nr, name);
	must_words(text);
	tgkill(getpid(), gettid(), sig);
	_exit(1);
}
