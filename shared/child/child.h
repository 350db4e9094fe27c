/*
 * child.h - how every child starts, serves and ends
 *
 * child_main() settles once for all kinds: the inherited descriptors (3: control, 4: lock), limits, no_new_privs, death with the master, signals
 * (HUP, USR1 ignored, TERM and INT as STOP), the loop, the control channel, the mesh, the snapshot, READY, reload, log levels, draining and exit codes.
 * A child's main.c is one struct child.
 *
 * Order: start() [has conf, mesh, loop; peers may already be linked], then the sandbox (sandbox.h) closes behind it, listener() for each socket, go() once all peers have mapped us — then READY is sent. Turn by
 * turn: mesh_drain() → records; on_turn(); mesh_flush(); after_flush() [now acknowledgements may leave: what they stand for is visible].
 *
 * Exit codes: 0 asked to end; 1 could not start (said in the log); 2 the master has gone; a signal: a defect.
 */
#ifndef CHILD_CHILD_H
#define CHILD_CHILD_H

#include "shared/conf/conf.h"
#include "shared/ipc/chan.h"
#include "shared/ipc/mesh.h"
#include "shared/net/loop.h"
#include "shared/net/tls.h"

struct child {
	enum proc_kind kind;
	bool has_files;       /* opens some, beneath the directories of its birth */
	struct mesh_ops mesh; /* on_liar is child_main's own */

	int (*start)(void); /* 0 or -errno: exit 1 */
	int (*go)(
	    void); /* all peers have mapped us: serve. 0; -EAGAIN: not yet, call child_ready() later */
	bool (*on_turn)(void);      /* true: there is more to do, don't sleep */
	bool (*after_flush)(void);  /* the same */
	void (*before_sleep)(void); /* in between, nothing of the loop's is looked at */
	void (*after_sleep)(void);
	int (*conf_check)(const struct conf *next,
	    char why[256]); /* vote: 0 or -errno with the reason; builds what it needs */
	void (*conf_commit)(
	    const struct conf *was); /* self.conf is the new one: switch; can't fail */
	void (*conf_withdraw)(void);
	int (*listener)(const struct msg_listener *l, int fd); /* workers; fd is taken */
	void (*listener_gone)(uint32_t id);
	void (*tls_files)(
	    int fd); /* of the configuration that comes next, also that of start(); fd is taken */
	void (*acl_rules)(unsigned from, int fd); /* the same; enum rules_from */
	void (*auth_files)(int fd);               /* auth: the same for its providers */
	void (*tls_tickets)(const struct tls_ticket_key key[TLS_TICKET_KEYS]);
	void (*quarantine)(
	    const struct msg_quarantine *q); /* workers: whom to refuse from now on */
	void (*blocks)(int fd); /* workers: whom an administrator has blocked; fd is taken */
	void (*block)(const char *line, size_t len); /* one more or less */
	void (*drain)(const struct msg_drain *d);
	void (*stop)(void); /* finish; call child_exit(0) when done */
	void (*request)(const char *text, size_t len, int fd); /* an administrator's; fd is taken */
};

/* Of this process; set before start(). */
struct self {
	unsigned slot;
	uint32_t gen;
	struct hash_key key;
	struct loop *loop;
	struct mesh *mesh;
	struct conf conf; /* the snapshot in force */
	struct msg_start birth;
};
extern struct self self;

int child_main(const struct child *c, int argc, char **argv);
void child_fini(void);     /* after child_main() and the child's own end: mesh, loop, channel */
void child_ready(void);    /* go() said -EAGAIN, now it serves */
void child_exit(int code); /* at the end of this turn */
void child_fail(
    const char *why); /* the same with code 1; as a line of the log, and for the master to tell */
void child_send(enum ipc_type type, const void *body, size_t len); /* to the master */

#endif
