/*
 * login.h - asks auth whether a client may come in
 *
 * What CONNECT showed is kept until there is an answer, so that an auth that starts anew can be asked again; then it is wiped. Nothing more is read from the client meanwhile, and
 * persist is asked for its identifier only when it is let in.
 *
 * With an authentication method (4.12) it may go to and fro: auth asks, the client says more in AUTH. What auth has to remember between two steps is kept here for it. A client that is
 * connected can begin again (4.12.1), and goes on with all else meanwhile; nothing but its own fault disconnects it.
 *
 * Runs in: worker's loop. A client has one exchange at most; those without one keep nothing.
 */
#ifndef MQTT_LOGIN_H
#define MQTT_LOGIN_H

#include "worker/mqtt/conn.h"

struct login;

bool login_is_needed(const struct conn *c);
bool login_is_done(const struct conn *c); /* by what it has shown to TLS */
bool login_has_methods(void);             /* clients may come with an authentication method */
/* c->id, c->user and c->method are those it is to have. False: no memory, or no room to ask. */
bool login_ask(struct conn *c, const struct connect *p);
bool login_ask_anew(struct conn *c, struct span data); /* it is connected */
bool login_go_on(struct conn *c, struct span data);    /* it was its turn */
struct conn *login_answered(
    const struct rec_login_done *r); /* whose it is; NULL: nobody waits for it any more */
/* Then what becomes of it, before another turn: the client is to go on, false: no memory; */
bool login_wait(struct conn *c, struct span state);
/* auth has no time for one that is connected, which is to be asked again; */
void login_ask_later(struct conn *c);
/* it is let in, and there is something to be said to it, false: no memory. Or login_drop(). */
bool login_keep(struct conn *c, struct span data);
bool login_is_clients_turn(const struct conn *c);
struct span login_kept(const struct conn *c); /* borrowed until login_drop() */
void login_ask_all(void);                     /* auth is there, or there again */
void login_drop(struct conn *c);

#endif
