/*
 * master.h - tbmqd, the supervisor: binds listeners, starts and restarts children, runs reloads
 *
 * It sees no client byte and no record of a ring, only how full they are. Everything runs in one event loop and nothing waits for a child.
 *
 *     main.c     options, daemon, signals          dirs.c     paths of an instance, lock
 *     spawn.c    fork and exec: the only place     slots.c    lives of the children
 *     listen.c   sockets of listeners              reload.c   offer, votes, switch
 *     control.c  requests of tbmqctl               status.c   what it answers about the processes
 *     logfile.c  where log lines go                notify.c   the service manager
 *     conffile.c configuration file, that before it, and one on trial
 *     rulefile.c access rules that administrators add while it runs
 *     tls.c  certificates and ticket keys for the workers
 *     acl.c  access rules for the workers
 *     quarantine.c  records that persist dies of, clients that workers die of
 *     suspects.h    which clients those are
 *     unix.c     files of unix sockets
 *     block.c    clients, users and addresses that an administrator has blocked
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <jansson.h>
#include <limits.h>
#include <sys/types.h>

#include "shared/conf/conf.h"
#include "shared/conf/dirs.h"
#include "shared/ipc/chan.h"
#include "shared/ipc/segment.h"
#include "shared/net/loop.h"
#include "shared/net/sock.h"

#define LISTENERS_MAX CONF_LISTENERS

enum slot_state {
	SLOT_EMPTY,
	SLOT_BORN,
	SLOT_LINKING,
	SLOT_READY,
	SLOT_DRAINING,
	SLOT_STOPPING,
	SLOT_BACKOFF
};

struct slot {
	unsigned n;
	enum slot_state state;
	uint32_t gen;
	pid_t pid;
	struct chan chan;
	int segment, bell; /* -1: not given yet */
	const struct segment *seg;
	struct segment_shape shape;
	struct timer timer; /* birth, back-off, or a kill that is due */
	uint64_t born_ms, ready_ms;
	uint64_t rung_beat, rung_ms; /* its last beat when we rang for another, and when */
	uint64_t offered;            /* number of the snapshot it was last offered */
	uint32_t restarts, quick;    /* quick: deaths in a row soon after birth */
	bool hung, voted, stop_asked, wanted;
	bool kicks, dealt; /* it sends its clients away; it has been told how fast */
	uint32_t share;    /* how fast */
	unsigned lent_to;  /* slot + 1 of the worker that accepts for it; 0: nobody */
	const char *why;   /* we end it; NULL: we don't */
	char last_words[1280];
};

struct unix_file { /* of a unix socket; zeros: it is none */
	dev_t dev;
	ino_t ino;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct
    listener { /* of the configuration in force, and those clients of a removed one still use no more */
	bool used;
	uint32_t index; /* in the snapshot */
	struct conf_listener conf;
	struct sock_addr addr;
	struct unix_file file;
	int fd[SLOT_MQTT_MAX]; /* one for each worker, of a unix socket the same; -1: not bound */
};

/* Of the command line or the environment: it comes before the file. */
struct override {
	char *text;       /* key=value */
	const char *from; /* "--workers", "TBMQ_PORT" */
};

struct master {
	struct loop *loop;
	struct dirs dirs;
	struct conf conf; /* in force */
	int snapshot;     /* its memfd */
	uint64_t numbers; /* snapshots made so far */
	uint32_t gens;
	struct hash_key key;
	uint64_t start_ms, broker_id;
	unsigned workers; /* wanted */
	bool stopping, ready;
	int lock;
	struct slot slot[SLOTS];
	struct listener listener[LISTENERS_MAX];
	int noverrides;
	struct override *overrides;
	int ready_pipe; /* to who started us: -1 once told */
};

extern struct master master;

/* dirs.c */
/* Create what is missing; say what is wrong. */
int dirs_make(const struct dirs *d);
int dirs_make_data(const char *path); /* the children's own */
int dirs_lock(
    const struct dirs *d); /* waits for children of a master that died; fd, or -errno (said) */

/* spawn.c */
int spawn_init(void);           /* finds the user that children run as; says what is wrong */
int spawn_own(const char *dir); /* theirs from now on; says what is wrong */
int spawn_child(struct slot *s, int chan_fd);

/* slots.c */
void slots_init(void);
void slots_start(void);
void slots_want(unsigned workers); /* more or fewer workers */
void
slots_drain(const struct msg_drain *how); /* all workers that are there go, with their clients */
void slots_reap(void);
void slots_stop(void);                   /* all, workers first */
void slots_tick(void);                   /* heartbeats */
bool slot_is_live(const struct slot *s); /* has a segment, takes messages */
int slot_send(
    struct slot *s, enum ipc_type type, const void *body, size_t len, const int *fds, int nfds);
void slot_kill(struct slot *s, int sig, const char *why);
bool slots_ready(void);
void
slot_listeners(struct slot *s, const struct slot *to, bool lent); /* sends s's sockets to `to` */
void slot_take_back(struct slot *s, struct slot *from);
void slot_restart(struct slot *s); /* asked to end; a successor follows */

/* listen.c */
int listen_bind(const struct conf *c, struct listener out[LISTENERS_MAX],
    struct conf_error *err); /* keeps those that are bound already */
void listen_commit(struct listener next[LISTENERS_MAX]);
void listen_discard(struct listener next[LISTENERS_MAX]);
uint32_t listen_id(unsigned listener, unsigned worker);
void
listen_close_worker(unsigned worker); /* it drains: it accepts what waits, nobody new may come */
void listen_tell(void);               /* into the log: where clients can come */
void listen_warn(void);               /* of listeners that let in everybody */
void listen_close_all(void);

/* unix.c */
int unix_own(struct listener *l, struct conf_error *err);  /* whose it is to be: l->file */
int unix_bind(struct listener *l, struct conf_error *err); /* the first worker's */
bool unix_is_there(const struct listener *l);              /* its path still leads to it */
void unix_apply(const struct listener *l); /* owner and mode, to a file that is there */
void unix_unlink(const struct listener *l);

/* reload.c */
typedef void reload_done_fn(void *arg, int err, const char *why);
void reload_begin(const struct conf *next, reload_done_fn *done, void *arg);
/* Kept rules that are staged, and nothing else. */
void reload_kept_rules(reload_done_fn *done, void *arg);
void reload_vote(struct slot *s, const struct msg_vote *v);
void reload_gone(void); /* someone died, perhaps in the middle of a vote */
/* With what overrides it. of_file: without, may be NULL. */
int reload_parse(const char *file, struct conf *out, struct conf *of_file, struct conf_error *err);
/* Who says what this key is, whatever the file says: "--port"; NULL: nobody. */
const char *reload_override(const struct conf *c, const char *key);
bool reload_is_running(void);

/* quarantine.c */
/* Persist's, which has died. True: its successor is spared what it died of. */
bool quarantine_note_record(const struct segment *seg);
void quarantine_tell_records(struct msg_start *m); /* its successor, what to set aside */
/* A worker's, likewise, of the packet that it was at, if any. */
bool quarantine_note_client(const struct segment *seg);
void quarantine_tell_clients(struct slot *s); /* a worker that is born, whom to refuse */
void quarantine_tick(void);                   /* ends what is over, or has been switched off */
json_t *quarantine_items(void);               /* an array of both kinds, maybe empty */
/* Clients of this identifier or address, NULL: all; how many there were. */
unsigned quarantine_let_in(const char *id);

/* block.c */
int block_open(void); /* reads what is on disk; says what is wrong */
void block_close(void);
void block_tell(struct slot *s); /* a worker that is born */
void block_tick(void);
json_t *block_page(const char *after, unsigned limit); /* answers of requests */
json_t *block_add(const char *kind, const char *value, const char *reason, uint64_t for_s);
json_t *block_remove(const char *kind, const char *value);

/* tls.c */
int tls_prepare(const struct conf *next, struct conf_error *err); /* reads the files it names */
void tls_commit(void);                                            /* they are in force */
void tls_discard(void);
void tls_start(void);                     /* the first ticket keys, and when the next ones come */
void tls_give(struct slot *s, bool next); /* to a worker, before the configuration they are of */
void tls_give_tickets(struct slot *s);

/* acl.c */
int acl_prepare(const struct conf *next,
    struct conf_error *err); /* reads the file it names, and what is kept */
int acl_prepare_staged(
    struct conf_error *err); /* reads kept rules that are staged; the rest is as it was */
int acl_keep(char why[128]); /* what is staged is to survive us; 0 if nothing is */
void acl_commit(void);       /* it is in force */
void acl_discard(void);
void
acl_give(struct slot *s, bool next); /* to a worker or persist, before the configuration it is of */

/* authfiles.c: likewise for auth */
int authfiles_prepare(const struct conf *next, struct conf_error *err);
void authfiles_commit(void);
void authfiles_discard(void);
void authfiles_give(struct slot *s, bool next);

/* rulefile.c: rules that are kept beside the configuration */
void rulefile_path(char out[PATH_MAX]);
void rulefile_staged(char out[PATH_MAX]);
/* These stage a copy that is different; 0, or -errno with the reason. Lines are counted from 1. */
int rulefile_add(const char *rule, size_t before, char why[256]);  /* 0: at the end */
int rulefile_remove(const char *rule, size_t line, char why[256]); /* rule NULL: by its line */
int rulefile_load(const char *file, char why[256]);
int rulefile_keep(void); /* what is staged takes its place; -errno */
void rulefile_discard(void);
json_t *rulefile_page(const char *after, unsigned limit); /* an answer */

/* conffile.c */
void conffile_path(const char *suffix, char out[PATH_MAX]); /* the file, or a companion of it */
int conffile_stage(const char *from); /* copies it to FILE.next, which has the rights of FILE */
void conffile_discard(void);          /* what is staged */
void conffile_replace(bool keeps_previous, bool is_unconfirmed); /* by what is staged */
void conffile_confirmed(void);
bool conffile_is_unconfirmed(void);
int conffile_go_back(void); /* at a start: to the file before the last apply */

/* control.c, status.c */
int control_open(void);
void control_close(void);
void control_reload(void); /* nobody waits for the answer */
json_t *status_json(void);
json_t *status_counters(const char *process);

/* logfile.c */
int logfile_apply(void); /* as the configuration says: levels and target; tells live children */
const char *logfile_path(const struct conf *c);
int logfile_check(const struct conf *c, struct conf_error *err); /* could it be opened? */
int logfile_open(void);                 /* the target anew: the file may have been renamed */
void logfile_to(struct slot *s);        /* one that is born: by what to write its log */
void logfile_levels_to(struct slot *s); /* after its configuration: those set since */

/* notify.c */
void notify_ready(void); /* also at the end of a reload, whatever came of it */
void notify_reloading(void);
void notify_stopping(void);
void notify_watchdog(void); /* each tick: tells as often as is asked for */

/* main.c */
void master_ready(void);
void master_failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void master_stop(void);

#endif
