/*
 * machine.h - what the kernel and the service manager let a broker have, as numbers
 *
 * All of it are texts of /proc, /sys and unit files, which are looked for below a directory, "" being this machine.
 *
 * Runs in: tbmqctl. Reads files.
 * Trusts:  no text: what is not there, not as it should be or too large is UNKNOWN.
 */
#ifndef CTL_MACHINE_H
#define CTL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define UNKNOWN (-1)
#define NO_LIMIT INT64_MAX

enum huge_pages { HUGE_UNKNOWN, HUGE_NEVER, HUGE_MADVISE, HUGE_ALWAYS };

struct machine {
	int64_t nr_open, file_max, files_open;
	int64_t somaxconn, syn_backlog, syncookies;
	int64_t port_first, port_last; /* of connections that begin here */
	uint8_t reserved[65536 / 8];   /* ports that these don't take, a bit each */
	int64_t tcp_bytes;             /* that all sockets of TCP may have in their buffers */
	int64_t conntrack_max, conntrack_count;
	int64_t memory, swap, swappiness, overcommit;
	int64_t group_memory, group_tasks; /* the least of the control groups above a process */
	enum huge_pages huge_pages;
	char core_pattern[128];
};

/* pid: of which process the control groups are; 0: ours. */
void machine_read(const char *root, pid_t pid, struct machine *out);
bool machine_reserves(const struct machine *m, unsigned port);
/* How many descriptors a process may have at most, whatever its soft limit is. */
int64_t machine_descriptors_of(const char *root, pid_t pid);
/* Likewise by LimitNOFILE of a unit and what is put over it; UNKNOWN: it does not say. */
int64_t machine_descriptors_by_unit(const char *root, const char *unit);
bool machine_has_unit(const char *root, const char *unit);

#endif
