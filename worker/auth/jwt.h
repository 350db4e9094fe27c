/*
 * jwt.h - provider: a JSON web token as password or user name
 *
 * What is no token is left to the next provider. One that is has to be signed with a key of ours, be in its time, and say what is demanded of it, or the client is refused.
 * It gives the client its groups and attributes, and its end ends the connection.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include "shared/net/auth_files.h"
#include "worker/auth/login.h"

extern const struct provider jwt;

void jwt_init(void);
/* What the configuration to come says, until one of the two others; 0, or -errno with the reason. */
int jwt_prepare(const struct conf *next, const struct auth_files *files, char why[256]);
void jwt_commit(void); /* self.conf is the new one */
void jwt_withdraw(void);
void jwt_fini(void);

#endif
