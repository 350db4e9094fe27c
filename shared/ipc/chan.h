/*
 * chan.h - control socket between the master and a child: messages with descriptors, from msgs.def
 *
 * SOCK_SEQPACKET: a message is whole or not there. Sending never blocks: what the kernel doesn't take waits in a bounded queue, and a peer
 * that lets it fill is as good as dead (-ENOBUFS). Each process has one table on_msg[]: all that can happen to it.
 *
 * Runs in: master (one per child), children (one).
 * Trusts:  not the other side: the gate checks type, sender, size and descriptors before any handler; what is refused is counted.
 * Owns:    descriptors received belong to the handler; those sent stay the caller's (dup'ed into the queue if it has to wait).
 */
#ifndef IPC_CHAN_H
#define IPC_CHAN_H

#include <stdalign.h>
#include <sys/types.h>

#include "shared/base/hash.h"
#include "shared/base/list.h"
#include "shared/ipc/proc.h"
#include "shared/ipc/rec.h"
#include "shared/ipc/who.h"
#include "shared/net/loop.h"

#define IPC_ABI 7
#define IPC_TEXT_MAX 32768 /* bytes of a msg_text */
#define IPC_FDS 2
#define QUARANTINE_MAX 8      /* records that persist is told of */
#define QUARANTINE_CLIENTS 32 /* clients and addresses that workers are told of */
#define CHILD_CHAN_FD 3       /* the child's end */
#define CHILD_LOCK_FD 4       /* flock'd: keeps a new master out while we live */

enum ipc_type {
#define M(name, from, to, payload, fds) IPC_##name,
#include "shared/ipc/msgs.def"
#undef M
	IPC_TYPES
};

struct msg_none {
	uint32_t spare;
};
struct msg_start {
	uint32_t abi, slot, gen, restarts;
	struct hash_key key;      /* of this start of the broker */
	uint64_t broker_start_ms; /* wall clock */
	uint64_t broker_id;       /* random, of this instance: in assigned client identifiers */
	uint32_t workers, spare;
	char data_dir[4096];   /* persist's */
	char backup_dir[4096]; /* where else it may write */
	struct rec_id
	    quarantine[QUARANTINE_MAX]; /* persist's: it has died of each again and again */
};
struct msg_peer {
	uint32_t slot, gen;
};
struct msg_listener {
	uint32_t id, index, lent;
	char name[32];
}; /* id: of this socket; index: of the listener in the snapshot; lent: for a slot that can't serve */
struct msg_conf {
	uint64_t number;
};
struct msg_vote {
	uint64_t number;
	uint32_t yes;
	char why[256];
};
struct msg_log_level {
	int32_t level;
	char module[32];
}; /* module "": all */
struct msg_drain {
	uint32_t rate_milli;
	uint8_t kick, reason;
	char server_reference[256];
}; /* rate_milli: thousandths of a client a second, 0: at once; kick: hand them a DISCONNECT */
struct msg_tls_tickets {
	uint8_t key[2][80]; /* tls.h */
};
struct msg_rules {
	uint32_t from; /* enum rules_from */
};
struct msg_quarantine {
	uint32_t n;
	struct who of[QUARANTINE_CLIENTS]; /* client "": whoever comes from there */
};
struct msg_text {
	char text[IPC_TEXT_MAX];
}; /* as long as the message */

struct ipc_hdr {
	uint32_t abi;
	uint16_t type, spare;
	uint32_t len;
};

struct chan;
/* body is len bytes, copied and aligned; fd[i] are the handler's. Returns 0, or -errno to end the channel. */
typedef int ipc_fn(struct chan *ch, const void *body, size_t len, const int *fd);

struct chan {
	struct watch watch;
	struct loop *loop;
	int fd;        /* -1: closed */
	uint32_t peer; /* P_MASTER, or the bit of the child's kind */
	uint32_t self;
	ipc_fn *const *on_msg; /* IPC_TYPES of them */
	void (*on_end)(struct chan *ch,
	    int err); /* EOF (0) or error; called once, the channel is closed then */
	struct list queue;
	size_t queued;
};

int chan_open(struct chan *ch, struct loop *l, int fd, uint32_t self, uint32_t peer,
    ipc_fn *const on_msg[], void (*on_end)(struct chan *, int));
void chan_close(struct chan *ch);
int chan_send(
    struct chan *ch, enum ipc_type type, const void *body, size_t len, const int *fds, int nfds);
/* All that has come so far, without waiting for the loop: the last words of a peer that is dead. */
void chan_read(struct chan *ch);
const char *ipc_name(enum ipc_type type);

#endif
