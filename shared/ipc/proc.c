#include "shared/ipc/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct proc_info proc_info[PROC_KINDS] = {
#define P(kind, n, e, f, s) [PROC_##kind] = { .name = (n), .exe = (e), .first = (f), .slots = (s) },
#include "shared/ipc/procs.def"
#undef P
};

enum proc_kind
proc_kind_of(unsigned slot)
{
	for (int k = 0; k < PROC_KINDS; k++)
		if (slot >= proc_info[k].first && slot < proc_info[k].first + proc_info[k].slots)
			return (enum proc_kind)k;
	return PROC_KINDS;
}

const char *
proc_title(unsigned slot)
{
	static char title[SLOTS][16];
	enum proc_kind k = proc_kind_of(slot);

	if (k == PROC_KINDS)
		return "?";
	if (title[slot][0] == '\0')
		snprintf(title[slot], sizeof(title[slot]), "%s/%u", proc_info[k].name,
		    slot - proc_info[k].first);
	return title[slot];
}

int
proc_slot_of(const char *title)
{
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (proc_kind_of(slot) != PROC_KINDS && strcmp(proc_title(slot), title) == 0)
			return (int)slot;
	return -EINVAL;
}

unsigned
proc_workers(unsigned asked)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (asked > 0)
		return asked;
	return cores < 1 ? 1 : cores > SLOT_MQTT_MAX ? SLOT_MQTT_MAX : (unsigned)cores;
}
