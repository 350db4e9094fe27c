/*
 * mosquitto.h - the broker to compare with
 *
 * Runs as a child with a directory and a configuration of its own, on a free loopback port, and ends with us.
 */
#ifndef DIFFERENTIAL_MOSQUITTO_H
#define DIFFERENTIAL_MOSQUITTO_H

/* The port; serves when it comes back. Ends the program if it can't. acl: its acl_file, or NULL. */
int mosquitto_start(const char *program, const char *acl);
void mosquitto_stop(void);

#endif
