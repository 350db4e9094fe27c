/*
 * Preloaded into a child: at a text "intruder/ATTEMPT/NUMBER/…" it tries what somebody would who has got into the process, and says how that went.
 *
 * What is called across libraries can be replaced whatever it was built with: a worker searches each topic for wildcards, and persist hashes a text
 * that is longer than a key of the store takes. NUMBER is another process.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK "intruder/"
#define RIGHTS (PROT_READ | PROT_WRITE)

/* By number, since the runtime of sanitizers has functions of its own under these names. */
static long
attempt(const char *what, long pid)
{
	static char name[] = "/bin/true", *const argv[] = { name, NULL };
	static _Alignas(4096) char page[4096];

	if (strcmp(what, "open") == 0)
		return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
	if (strcmp(what, "write") == 0)
		return syscall(SYS_openat, AT_FDCWD, "/tmp/intruder", O_WRONLY | O_CREAT, 0600);
	if (strcmp(what, "socket") == 0)
		return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	if (strcmp(what, "connect") == 0)
		return syscall(SYS_connect, 0, NULL, 0);
	if (strcmp(what, "execve") == 0)
		return syscall(SYS_execve, name, argv, NULL);
	if (strcmp(what, "clone") == 0)
		return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (strcmp(what, "ptrace") == 0)
		return syscall(SYS_ptrace, PTRACE_ATTACH, pid, NULL, NULL);
	if (strcmp(what, "process_vm_writev") == 0)
		return syscall(SYS_process_vm_writev, pid, NULL, 0, NULL, 0, 0);
	if (strcmp(what, "mmap") == 0)
		return syscall(SYS_mmap, NULL, sizeof(page), RIGHTS | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (strcmp(what, "mprotect") == 0)
		return syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC);
	if (strcmp(what, "kill") == 0)
		return syscall(SYS_kill, pid, SIGTERM);
	if (strcmp(what, "tgkill") == 0)
		return syscall(SYS_tgkill, pid, pid, SIGTERM);
	if (strcmp(what, "prctl") == 0)
		return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (strcmp(what, "prlimit64") == 0)
		return syscall(SYS_prlimit64, pid, 0, NULL, NULL);
	if (strcmp(what, "ioctl") == 0)
		return syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI: types at a terminal */, "x");
	if (strcmp(what, "rt_sigaction") == 0)
		return syscall(SYS_rt_sigaction, SIGSYS, NULL, NULL, 8);
	if (strcmp(what, "io_uring_setup") == 0)
		return syscall(SYS_io_uring_setup, 1, NULL);
	errno = EINVAL;
	return -1;
}

static void
look(const void *text, size_t len)
{
	char what[32], said[128];
	long pid;

	if (len < sizeof(MARK) || memcmp(text, MARK, sizeof(MARK) - 1) != 0)
		return;
	snprintf(said, sizeof(said), "%.*s", (int)len, (const char *)text);
	if (sscanf(said, MARK "%31[^/]/%ld/", what, &pid) != 2)
		return;
	errno = 0;
	attempt(what, pid);
	fprintf(stderr, "intruder: %s: %s\n", what, strerror(errno));
}

void *
memchr(const void *text, int c, size_t len)
{
	const unsigned char *p = text;

	if (c == '+')
		look(text, len);
	for (size_t i = 0; i < len; i++)
		if (p[i] == (unsigned char)c)
			return (void *)(p + i);
	return NULL;
}

unsigned char *
SHA256(const unsigned char *text, size_t len, unsigned char *md)
{
	static unsigned char *(*real)(const unsigned char *, size_t, unsigned char *);

	look(text, len);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SHA256");
	return real(text, len, md);
}
