/*
 * out.h - records to workers: answers, which stand for something stored, and the rest
 *
 * An answer waits for the commit of the turn that it belongs to, and for room: it is never
 * dropped while its worker lives. What a worker can have unanswered bounds them. Everything else
 * is sent at once by out_send(), which the caller does only while out_is_clear(): so nothing
 * overtakes an answer to the same worker.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_OUT_H
#define PERSIST_OUT_H

#include "shared/child/child.h"

void out_answer(unsigned slot, unsigned type, const struct iovec *iov, int n);
void out_commit(void);            /* what is stored is stored: answers may leave */
bool out_is_clear(unsigned slot); /* no answer waits, nor anything for room in its ring */
void out_down(unsigned slot);     /* it died: nothing is owed any more */
void out_fini(void);

/* MESH_FULL and MESH_NO_PEER: not sent, and counted when it was a message. */
enum mesh_sent out_send(unsigned slot, unsigned type, const struct iovec *iov, int n);
/* A message with whatever stands before it: fixed part, and extra (subscription ids, groups). */
enum mesh_sent out_message(
    unsigned slot, unsigned type, struct span fixed, struct span extra, const struct msg_view *v);

#endif
