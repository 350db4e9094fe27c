/*
 * proc.h - kinds of processes and their slots, from procs.def
 *
 * A slot is the place of a process in the mesh ("mqtt/3"); a generation counts those who have held it.
 */
#ifndef IPC_PROC_H
#define IPC_PROC_H

#include <stdint.h>

#define SLOTS 72 /* room for kinds to come */
#define SLOT_PERSIST 64
#define SLOT_AUTH 65
#define SLOT_MQTT_MAX 64

enum proc_kind {
#define P(kind, name, exe, first, n) PROC_##kind,
#include "shared/ipc/procs.def"
#undef P
	PROC_KINDS
};

/* Sets of kinds, for rules of messages. */
enum {
#define P(kind, name, exe, first, n) P_##kind = 1 << PROC_##kind,
#include "shared/ipc/procs.def"
#undef P
	P_MASTER = 1 << 30,
	P_ANY = (1 << PROC_KINDS) - 1,
};

struct proc_info {
	const char *name, *exe;
	unsigned first, slots;
};

extern const struct proc_info proc_info[PROC_KINDS];

enum proc_kind proc_kind_of(unsigned slot); /* PROC_KINDS: nobody's */
/* "mqtt/3"; static text per slot, "?" for nobody's. */
const char *proc_title(unsigned slot);
int proc_slot_of(const char *title);   /* slot, or -EINVAL */
unsigned proc_workers(unsigned asked); /* as many; 0: one a core */

#endif
