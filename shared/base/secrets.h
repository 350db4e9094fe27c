/*
 * secrets.h - memory with keys and passwords is for its process alone
 *
 * Runs in: any process. A program that was started by another begins without.
 */
#ifndef BASE_SECRETS_H
#define BASE_SECRETS_H

#include <stdbool.h>

/* True: no core is left, and processes of the same user can neither trace this one nor read its memory. False: as it was. */
void secrets_keep(bool keep);

#endif
