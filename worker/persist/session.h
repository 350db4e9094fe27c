/*
 * session.h - the life of sessions: who has one, who gets it next, when it ends
 *
 * One order of events per client identifier: a session is granted with a new epoch only when its
 * last owner has let go, or is dead and everybody has seen what it had published. Of several
 * CONNECTs that wait for it only the newest stays. Records that carry an old epoch do nothing.
 *
 *     (none) ─ CONNECT → ONLINE ─ GONE → OFFLINE ─ expiry → (none)
 *                        │    ↑            │
 *              CONNECT, kick  └─ CONNECT ──┘
 *                        ↓
 *                     LEAVING ─ GONE → granted to who waits, or OFFLINE
 *
 * Runs in: persist's loop. What comes from rings: -EPROTO if it can't be.
 */
#ifndef PERSIST_SESSION_H
#define PERSIST_SESSION_H

#include "worker/persist/directory.h"
#include "worker/persist/store.h"

int session_connect(unsigned slot, struct span body);
int session_register(unsigned slot, struct span body);
int session_subscribe(unsigned slot, struct span body);
int session_unsubscribe(unsigned slot, struct span body);
int session_acked(unsigned slot, struct span body);
int session_will_end(unsigned slot, struct span body);

void session_gone(unsigned slot, const struct rec_gone *rec);

/*
 * Whom a record of this worker is about, if it still is that. Before it has registered, what it says was
 * written under our predecessor; then it is the session from the store that has this number. That is no other
 * one: nobody is granted anything before what was said of who was there before is on the disk, and that is
 * not read again (publish_stored_before()).
 */
struct session *session_about(unsigned slot, uint32_t number, uint64_t epoch);

void session_lost(
    struct session *s); /* its worker died, and everybody has seen all that it had published */
void session_recovered(void); /* everybody has registered: CONNECTs that waited are served */
void session_unregistered(unsigned slot); /* it is to say once more who is connected and who asks */
bool session_is_asked(const struct store_asker *a); /* before they are: by one that waits */
uint64_t session_epoch(void);                       /* the last one granted */
void session_kick(struct session *s, enum mqtt_reason reason);
void
session_clear(struct session *s); /* ends it, with its connection if it has one; s may be gone */

struct session_numbers { /* for $SYS */
	uint64_t connected, most;
	uint64_t offline_subs; /* subscriptions of sessions that are not connected */
};
struct session_numbers session_numbers(void);

int session_init(void);
void session_fini(void);

#endif
