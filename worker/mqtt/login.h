/*
 * login.h - asks auth whether a client may come in
 *
 * What CONNECT showed is kept until there is an answer, so that an auth that starts anew can be asked again; then it is wiped. Nothing more is read from the client meanwhile, and
 * persist is asked for its identifier only when it is let in.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_LOGIN_H
#define MQTT_LOGIN_H

#include "worker/mqtt/conn.h"

struct login;

bool login_is_needed(const struct conn *c);
/* c->id and c->user are those it is to have. False: no memory, or no room to ask. */
bool login_ask(struct conn *c, const struct connect *p);
struct conn *login_answered(uint64_t token); /* whose it is; NULL: nobody waits for it any more */
void login_ask_all(void);                    /* auth is there, or there again */
void login_drop(struct conn *c);

#endif
