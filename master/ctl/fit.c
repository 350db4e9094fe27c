#include "master/ctl/fit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/log.h"

#define SYSCTL_FILE "/etc/sysctl.d/90-tbmq.conf"
#define SYSCTL(format) format " in " SYSCTL_FILE ", then sysctl --system"

#define OTHERS 4 /* processes beside the workers: the master, persist, auth and one more */

/* Descriptors of a process that are not of connections: files of the store, its sockets, and two for each peer. */
#define FILES_OWN 64
#define FILES_PEER 2
/* The kernel picks a worker by a hash: one has more than its share. */
#define SPREAD(n) ((n) + (n) / 20)

/* Of an idle connection: its socket and all that the kernel has of it, what we have, and what OpenSSL has. */
#define KERNEL_BYTES 5120
#define OUR_BYTES 1024
#define TLS_BYTES 14336
#define PROCESS_BYTES 16777216 /* of each process before the first connection */
#define SOCKET_BYTES 8192      /* of a busy one's buffers: a page each way */

#define MIB 1048576.0

const char *const verdict_name[] = {
	[FIT_OK] = "ok", [FIT_ADVICE] = "advice", [FIT_PROBLEM] = "problem"
};

static void descriptors(json_t *to, const struct machine *m, const struct need *n);
static void backlog(json_t *to, const struct machine *m, const struct need *n);
static void ports(json_t *to, const struct machine *m, const struct need *n);
static void network(json_t *to, const struct machine *m, const struct need *n);
static void memory(json_t *to, const struct machine *m, const struct need *n);
static void pages(json_t *to, const struct machine *m);
static void tasks(json_t *to, const struct machine *m, const struct need *n);
static void cores(json_t *to, const struct machine *m, const struct need *n);

void
fit_add(
    json_t *findings, enum verdict v, const char *about, const char *remedy, const char *fmt, ...)
{
	char text[PATH_MAX + 1024];
	json_t *f;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f = json_pack("{s:s, s:s}", "about", about, "verdict", verdict_name[v]);
	/* What a file has in it may be no text. */
	if (json_object_set_new(f, "text", json_string(text)) != 0)
		json_object_set_new(f, "text", json_string(log_esc(span_str(text))));
	if (remedy != NULL)
		json_object_set_new(f, "remedy", json_string(remedy));
	json_array_append_new(findings, f);
}

void
fit_numbers(json_t *findings, const struct machine *m, const struct need *n)
{
	descriptors(findings, m, n);
	backlog(findings, m, n);
	ports(findings, m, n);
	network(findings, m, n);
	memory(findings, m, n);
	pages(findings, m);
	tasks(findings, m, n);
	cores(findings, m, n);
}

/* What falls short of what somebody has asked for is a problem. */
static enum verdict
short_of(const struct need *n)
{
	return n->is_firm ? FIT_PROBLEM : FIT_ADVICE;
}

static int64_t
own_files(const struct need *n)
{
	return FILES_OWN + FILES_PEER * (int64_t)(n->workers + OTHERS) + n->conf->nlisteners;
}

static void
descriptors(json_t *to, const struct machine *m, const struct need *n)
{
	int64_t own = own_files(n), each = SPREAD(n->connections) / n->workers + 1 + own;
	int64_t master = own + (int64_t)n->workers * n->conf->nlisteners;
	char remedy[400];
	int64_t least = each > master ? each : master, has = n->descriptors;

	/* A unit may ask for more than there is. */
	if (m->nr_open != UNKNOWN && has > m->nr_open)
		has = m->nr_open;
	if (has == UNKNOWN) {
		fit_add(
		    to, FIT_ADVICE, "descriptors", NULL, "what a process may have is not known");
	} else if (has < least) {
		int64_t room = has > own ? (has - own) * n->workers : 0;
		int len = 0;

		if (m->nr_open != UNKNOWN && m->nr_open < least)
			len = snprintf(remedy, sizeof(remedy),
			    SYSCTL("fs.nr_open = %" PRId64) "; and ", least);
		snprintf(remedy + len, sizeof(remedy) - (size_t)len,
		    n->by_unit ? "LimitNOFILE=%" PRId64
				 " below [Service] by systemctl edit tbmq.service, then restart"
			       : "ulimit -Hn %" PRId64 " before the start, or more workers",
		    least);
		fit_add(to, has < master ? FIT_PROBLEM : short_of(n), "descriptors", remedy,
		    "a process may have %" PRId64 ", so %u workers hold about %" PRId64
		    " connections; for %" PRId64 " it takes %" PRId64,
		    has, n->workers, room, n->connections, least);
	} else {
		fit_add(to, FIT_OK, "descriptors", NULL,
		    "a process may have %" PRId64 ", for %" PRId64
		    " connections with %u workers it takes %" PRId64,
		    has, n->connections, n->workers, least);
	}
	if (m->file_max == UNKNOWN || m->files_open == UNKNOWN)
		return;
	least = n->connections + own * (n->workers + OTHERS) + m->files_open;
	snprintf(remedy, sizeof(remedy), SYSCTL("fs.file-max = %" PRId64), least + least / 4);
	if (m->file_max < least)
		fit_add(to, short_of(n), "open files", remedy,
		    "the machine may have %" PRId64 " and has %" PRId64 "; with %" PRId64
		    " connections it takes %" PRId64,
		    m->file_max, m->files_open, n->connections, least);
	else
		fit_add(to, FIT_OK, "open files", NULL, "%" PRId64 " of fs.file-max = %" PRId64,
		    m->files_open, m->file_max);
}

static void
backlog(json_t *to, const struct machine *m, const struct need *n)
{
	int64_t most = 0;
	char remedy[160];

	for (uint32_t i = 0; i < n->conf->nlisteners; i++)
		if (n->conf->listener[i].backlog > most)
			most = n->conf->listener[i].backlog;
	snprintf(remedy, sizeof(remedy), SYSCTL("net.core.somaxconn = %" PRId64), most);
	if (m->somaxconn != UNKNOWN && m->somaxconn < most)
		fit_add(to, FIT_ADVICE, "backlog", remedy,
		    "listeners ask for %" PRId64 ", but no more than %" PRId64
		    " connections may wait to be accepted",
		    most, m->somaxconn);
	else if (m->somaxconn != UNKNOWN)
		fit_add(to, FIT_OK, "backlog", NULL,
		    "listeners ask for %" PRId64 ", net.core.somaxconn = %" PRId64, most,
		    m->somaxconn);
	/* With cookies the kernel does without this limit. */
	snprintf(remedy, sizeof(remedy),
	    SYSCTL("net.ipv4.tcp_syncookies = 1 (or net.ipv4.tcp_max_syn_backlog = %" PRId64 ")"),
	    most);
	if (m->syncookies == 0 && m->syn_backlog != UNKNOWN && m->syn_backlog < most)
		fit_add(to, FIT_ADVICE, "half-open connections", remedy,
		    "%" PRId64 " may be half-open without SYN cookies, backlog asks for %" PRId64,
		    m->syn_backlog, most);
	else if (m->syncookies != UNKNOWN)
		fit_add(to, FIT_OK, "half-open connections", NULL,
		    "SYN cookies are %s, net.ipv4.tcp_max_syn_backlog = %" PRId64,
		    m->syncookies != 0 ? "on" : "off", m->syn_backlog);
}

/* A connection that begins here may have the port of a listener just when that is to be bound. */
static void
ports(json_t *to, const struct machine *m, const struct need *n)
{
	char list[CONF_LISTENERS * 6 + 1] = "", remedy[sizeof(list) + 200];
	size_t len = 0;

	if (m->port_first == UNKNOWN || m->port_last == UNKNOWN)
		return;
	for (uint32_t i = 0; i < n->conf->nlisteners; i++) {
		const struct conf_listener *l = &n->conf->listener[i];

		if (l->type == TRANSPORT_unix || l->port < m->port_first ||
		    l->port > m->port_last || machine_reserves(m, l->port))
			continue;
		len += (size_t)snprintf(
		    list + len, sizeof(list) - len, "%s%u", len > 0 ? "," : "", l->port);
	}
	snprintf(remedy, sizeof(remedy),
	    SYSCTL("net.ipv4.ip_local_reserved_ports = %s (and those that it has)"), list);
	if (len > 0)
		fit_add(to, FIT_ADVICE, "ports", remedy,
		    "connections that this machine makes may take %s before a listener does: they "
		    "take %" PRId64 " to %" PRId64,
		    list, m->port_first, m->port_last);
	else
		fit_add(to, FIT_OK, "ports", NULL,
		    "no listener is at one that connections of this machine take: %" PRId64
		    " to %" PRId64,
		    m->port_first, m->port_last);
}

static void
network(json_t *to, const struct machine *m, const struct need *n)
{
	int64_t page = 4096, least = n->connections * SOCKET_BYTES;
	char remedy[200];

	if (m->tcp_bytes != UNKNOWN) {
		snprintf(remedy, sizeof(remedy),
		    SYSCTL("net.ipv4.tcp_mem = %" PRId64 " %" PRId64 " %" PRId64), least / page / 2,
		    least / page * 3 / 4, least / page);
		if (m->tcp_bytes < least)
			fit_add(to, FIT_ADVICE, "memory of TCP", remedy,
			    "%.0f MiB for the buffers of all sockets; if %" PRId64
			    " are busy it takes %.0f",
			    (double)m->tcp_bytes / MIB, n->connections, (double)least / MIB);
		else
			fit_add(to, FIT_OK, "memory of TCP", NULL,
			    "%.0f MiB for the buffers of all sockets", (double)m->tcp_bytes / MIB);
	}
	if (m->conntrack_max != UNKNOWN) {
		least = SPREAD(n->connections);
		snprintf(remedy, sizeof(remedy),
		    SYSCTL("net.netfilter.nf_conntrack_max = %" PRId64) ", or rules with notrack "
									"for the listeners",
		    2 * least);
		if (m->conntrack_max < least)
			fit_add(to, short_of(n), "tracked connections", remedy,
			    "the firewall forgets packets of connections beyond %" PRId64
			    ", and now has %" PRId64 "; %" PRId64 " are to come",
			    m->conntrack_max, m->conntrack_count, n->connections);
		else
			fit_add(to, FIT_OK, "tracked connections", NULL,
			    "the firewall has %" PRId64 " of %" PRId64, m->conntrack_count,
			    m->conntrack_max);
	}
}

static bool
any_tls(const struct conf *c)
{
	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (conf_has_tls(&c->listener[i]))
			return true;
	return false;
}

static void
memory(json_t *to, const struct machine *m, const struct need *n)
{
	int64_t processes = (int64_t)n->workers + OTHERS, has = m->memory;
	int64_t each = KERNEL_BYTES + OUR_BYTES + (any_tls(n->conf) ? TLS_BYTES : 0);
	double base = (double)processes * PROCESS_BYTES + (double)n->conf->store_cache +
	    (double)processes *
		((double)processes * (double)n->conf->ring_size +
		    2 * (double)n->conf->store_ring_size);
	double least = base + (double)n->connections * (double)each, most;
	bool grouped =
	    m->group_memory != UNKNOWN && (m->memory == UNKNOWN || m->group_memory < m->memory);
	char remedy[512];

	if (grouped)
		has = m->group_memory;
	if (has == UNKNOWN)
		return;
	most = ((double)has * 0.9 - base) / (double)each;
	snprintf(remedy, sizeof(remedy), "max_connections = %.0f in %s, or %s", most > 1 ? most : 1,
	    n->conf_file,
	    grouped ? "a higher MemoryMax of its control group (systemctl edit tbmq.service)"
		    : "more memory");
	if (least > (double)has * 0.9)
		fit_add(to, short_of(n), "memory", remedy,
		    "%" PRId64 " idle connections of %" PRId64
		    " bytes and what the broker needs itself are %.0f MiB of %.0f%s",
		    n->connections, each, least / MIB, (double)has / MIB,
		    grouped ? " that its control group may have" : "");
	else
		fit_add(to, FIT_OK, "memory", NULL,
		    "%" PRId64 " idle connections of %" PRId64
		    " bytes and what the broker needs itself are %.0f MiB of %.0f%s",
		    n->connections, each, least / MIB, (double)has / MIB,
		    grouped ? " that its control group may have" : "");
}

static void
pages(json_t *to, const struct machine *m)
{
	if (m->overcommit == 2)
		fit_add(to, FIT_ADVICE, "overcommitment", SYSCTL("vm.overcommit_memory = 0"),
		    "what is reserved and never used counts, too: memory runs out early");
	else if (m->overcommit != UNKNOWN)
		fit_add(to, FIT_OK, "overcommitment", NULL, "vm.overcommit_memory = %" PRId64,
		    m->overcommit);
	if (m->huge_pages == HUGE_ALWAYS)
		fit_add(to, FIT_ADVICE, "huge pages",
		    "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled, and "
		    "transparent_hugepage=madvise on the kernel's command line",
		    "all memory is made of them: processes take more, and stand still while the "
		    "kernel looks for some");
	else if (m->huge_pages != HUGE_UNKNOWN)
		fit_add(to, FIT_OK, "huge pages", NULL, "only who asks gets them");
	if (m->swap > 0 && m->swappiness > 10)
		fit_add(to, FIT_ADVICE, "swap",
		    SYSCTL("vm.swappiness = 1") ", or MemorySwapMax=0 by systemctl edit "
						"tbmq.service",
		    "what is idle goes to the disk early (vm.swappiness = %" PRId64
		    "), keys too, and clients wait until it is back",
		    m->swappiness);
	else if (m->swap != UNKNOWN)
		fit_add(to, FIT_OK, "swap", NULL, "%.0f MiB", (double)m->swap / MIB);
}

static void
tasks(json_t *to, const struct machine *m, const struct need *n)
{
	int64_t least = (int64_t)n->workers + 2 * OTHERS +
	    (n->conf->auth_threads > 0 ? n->conf->auth_threads : 64);
	char remedy[120];

	if (m->group_tasks == UNKNOWN)
		return;
	snprintf(remedy, sizeof(remedy), "TasksMax=%" PRId64 " by systemctl edit tbmq.service",
	    2 * least);
	if (m->group_tasks < least)
		fit_add(to, FIT_PROBLEM, "tasks", remedy,
		    "the control group may have %" PRId64 " processes and threads, the broker has "
		    "up to %" PRId64,
		    m->group_tasks, least);
	else
		fit_add(to, FIT_OK, "tasks", NULL, "up to %" PRId64, least);
}

static void
cores(json_t *to, const struct machine *m, const struct need *n)
{
	if (n->conf->sandbox)
		fit_add(to, FIT_OK, "core files", NULL,
		    "processes leave none, as keys would be in them (sandbox)");
	else if (m->core_pattern[0] != '/' && m->core_pattern[0] != '|')
		fit_add(to, FIT_ADVICE, "core files",
		    SYSCTL("kernel.core_pattern = /var/crash/core.%e.%p"),
		    "sandbox is off, and those of processes that die are lost: they may not write "
		    "where they are");
	else
		fit_add(to, FIT_ADVICE, "core files",
		    "sandbox = true, unless somebody is debugging",
		    "sandbox is off: processes that die leave their memory, with keys, where "
		    "kernel.core_pattern says");
}
