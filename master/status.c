#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"

static const char *const state_name[] = {
	[SLOT_EMPTY] = "stopped",
	[SLOT_BORN] = "starting",
	[SLOT_LINKING] = "linking",
	[SLOT_READY] = "ready",
	[SLOT_DRAINING] = "draining",
	[SLOT_STOPPING] = "stopping",
	[SLOT_BACKOFF] = "waiting to restart",
};

/* User and system time so far. */
static double
cpu_s(pid_t pid)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) != 0)
		return 0;
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Its share of memory, in bytes; for a process whose map we may not read, what is resident. */
static json_int_t
memory_bytes(pid_t pid)
{
	char path[64], line[256];
	long long kib = 0, pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %lld kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if (kib > 0)
		return kib * 1024;
	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%*d %lld", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static json_int_t
counter_of(const struct slot *s, enum counter c)
{
	return s->seg == NULL
	    ? 0
	    : (json_int_t)atomic_load_explicit(&s->seg->counter[c], memory_order_relaxed);
}

/* How full the fullest of its rings to others is: positions only, which may be any if it lies. */
static int
ring_percent(const struct slot *s)
{
	int most = 0;

	for (unsigned i = 0; i < SLOTS && s->seg != NULL; i++) {
		const struct slot *to = &master.slot[i];
		const struct seg_link *link = to->seg != NULL ? &to->seg->link[s->n] : NULL;
		uint64_t tail, head, cap = ring_cap(&s->shape.caps, s->n, i), has;

		if (link == NULL || to == s || atomic_load(&link->gen) != s->gen)
			continue;
		tail = atomic_load(&link->tail); /* first: it never passes the head */
		head = atomic_load(&segment_ring(s->seg, &s->shape, i)->head);
		has = head <= tail ? 0 : head - tail < cap ? head - tail : cap;
		if ((int)((has * 100 + cap - 1) / cap) > most)
			most = (int)((has * 100 + cap - 1) / cap);
	}
	return most;
}

static json_t *
process_json(const struct slot *s)
{
	return json_pack(
	    "{s:s, s:i, s:i, s:s, s:f, s:i, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:i, s:I, s:I}",
	    "name", proc_title(s->n), "pid", (int)s->pid, "generation", (int)s->gen, "state",
	    state_name[s->state], "uptime_s",
	    s->pid > 0 ? (double)(clock_ms() - s->born_ms) / 1000 : 0.0, "restarts",
	    (int)s->restarts, "last_words", s->last_words, "cpu_s",
	    s->pid > 0 ? cpu_s(s->pid) : 0.0, "memory_bytes",
	    s->pid > 0 ? memory_bytes(s->pid) : (json_int_t)0, "connections",
	    counter_of(s, CNT_connections), "clients", counter_of(s, CNT_clients), "messages_in",
	    counter_of(s, CNT_publish_received), "messages_out", counter_of(s, CNT_publish_sent),
	    "ring_percent", ring_percent(s), "ring_overflows", counter_of(s, CNT_ring_overflows),
	    "ring_dropped", counter_of(s, CNT_ring_dropped));
}

json_t *
status_json(void)
{
	json_t *listeners = json_array(), *processes = json_array(),
	       *quarantine = quarantine_items();
	int port = 0;

	json_array_append_new(processes,
	    json_pack("{s:s, s:i, s:i, s:s, s:f, s:i, s:s, s:f, s:I}", "name", "master", "pid",
		(int)getpid(), "generation", 0, "state", master.ready ? "ready" : "starting",
		"uptime_s", (double)(clock_wall_ms() - master.start_ms) / 1000, "restarts", 0,
		"last_words", "", "cpu_s", cpu_s(getpid()), "memory_bytes",
		memory_bytes(getpid())));
	for (unsigned i = 0; i < SLOTS; i++)
		if (master.slot[i].state != SLOT_EMPTY)
			json_array_append_new(processes, process_json(&master.slot[i]));
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		const struct listener *l = &master.listener[i];

		if (!l->used)
			continue;
		if (port == 0)
			port = sock_addr_port(&l->addr);
		if (l->conf.type == TRANSPORT_unix) {
			json_array_append_new(listeners,
			    json_pack("{s:s, s:s, s:s}", "name", l->conf.name.s, "type",
				conf_transport_name(&l->conf), "path", l->conf.path.s));
			continue;
		}
		json_array_append_new(listeners,
		    json_pack("{s:s, s:s, s:s, s:i}", "name", l->conf.name.s, "type",
			conf_transport_name(&l->conf), "address", l->conf.address.s, "port",
			(int)sock_addr_port(&l->addr)));
	}
	if (json_array_size(quarantine) == 0) {
		json_decref(quarantine);
		quarantine = NULL;
	}
	return json_pack(
	    "{s:b, s:{s:i, s:s, s:f, s:i, s:i, s:I, s:s, s:s, s:b, s:b}, s:o, s:o, s:o*}", "ok", 1,
	    "broker", "pid", (int)getpid(), "version", TBMQ_VERSION, "uptime_s",
	    (double)(clock_wall_ms() - master.start_ms) / 1000, "port", port, "workers",
	    (int)master.workers, "configuration", (json_int_t)master.conf.number,
	    "configuration_file", master.dirs.conf, "run_directory", master.dirs.run, "ready",
	    (int)master.ready, "sandbox", (int)master.conf.sandbox, "listeners", listeners,
	    "processes", processes, "quarantine", quarantine);
}

json_t *
status_counters(const char *process)
{
	json_t *all;

	if (process != NULL && proc_slot_of(process) < 0)
		return json_pack(
		    "{s:b, s:s}", "ok", 0, "error", "no such process; see tbmqctl status");
	all = json_object();
	for (int c = 0; c < COUNTERS; c++) {
		json_int_t sum = 0;

		for (unsigned i = 0; i < SLOTS; i++)
			if (process == NULL || strcmp(process, proc_title(i)) == 0)
				sum += counter_of(&master.slot[i], (enum counter)c);
		json_object_set_new(all, counter_info[c].name, json_integer(sum));
	}
	return json_pack("{s:b, s:o}", "ok", 1, "counters", all);
}
