/*
 * out.h - records to workers: answers, which stand for something stored, and the rest
 *
 * An answer waits until the batch is safe that it stands for, and for room: it is never dropped
 * while its worker lives, and overtakes none of its kind. One that stands for nothing that is kept,
 * such as a refusal, does not wait for a disk that may be full. What a worker can have unanswered
 * bounds them.
 * Everything else is sent at once by out_send(), which the caller does only while out_is_clear().
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_OUT_H
#define PERSIST_OUT_H

#include "shared/child/child.h"

/* What an answer stands for: nothing, or something kept, and how safe that has to be. */
enum out_kind { OUT_NOTHING, OUT_POWER, OUT_PROCESS, OUT_MEMORY, OUT_KINDS };

static inline enum out_kind
out_kept(enum conf_durability how)
{
	return OUT_POWER + how;
}

void out_answer(unsigned slot, enum out_kind kind, unsigned type, const struct iovec *iov, int n);
void out_commit(void);                /* answers whose batch is safe leave */
bool out_is_clear(unsigned slot);     /* no answer that is due, nor anything else, waits for room */
bool out_is_answered(uint64_t batch); /* all that stands for it, or for one before, has left */
void out_down(unsigned slot);         /* it died: nothing is owed any more */
void out_fini(void);

/* MESH_FULL and MESH_NO_PEER: not sent, and counted when it was a message. */
enum mesh_sent out_send(unsigned slot, unsigned type, const struct iovec *iov, int n);
/* A message with whatever stands before it: fixed part, and extra (subscription ids, groups). */
enum mesh_sent out_message(
    unsigned slot, unsigned type, struct span fixed, struct span extra, const struct msg_view *v);

#endif
