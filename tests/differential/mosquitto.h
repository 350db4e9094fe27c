/*
 * mosquitto.h - the broker to compare with
 *
 * Runs as a child with a directory and a configuration of its own, on a free loopback port, and ends with us.
 */
#ifndef DIFFERENTIAL_MOSQUITTO_H
#define DIFFERENTIAL_MOSQUITTO_H

int mosquitto_start(
    const char *program); /* the port; serves when it comes back. Ends the program if it can't. */
void mosquitto_stop(void);

#endif
